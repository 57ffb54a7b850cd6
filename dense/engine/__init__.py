"""The border to MMEngine and MMSegmentation: the Runner, its hooks, metrics and configs.

Only this package (and `dense.compat`) imports them. Importing `dense.engine` itself is light; its
modules are not.
"""
