"""Declarative tables: methods, architectures, refinements, formats, actions.

No third-party import lives here, so that every room may read the tables and menus, panels, ``--help`` and
documentation are built from them before torch is loaded.
"""
