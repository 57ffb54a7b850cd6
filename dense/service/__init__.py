"""The inspection core over HTTP: `dense serve`.

Nothing is judged here. Pictures are taken in durably (`intake`), judged together (`batcher`,
`judging`) by the core, written into its log, and told (`events`). `routers` are thin.
"""
