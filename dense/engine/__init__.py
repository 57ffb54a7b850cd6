"""The border to MMEngine and its relatives: the Runner, its hooks, metrics, heads and configs.

Only this package (and `dense.compat`) imports them. Importing `dense.engine` itself is light; its
modules are not.
"""
