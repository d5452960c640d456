"""What the window can do: one module a concern. A feature takes the bench, connects its own signals and actions in its
constructor, and knows no other feature; `camviewer.ui.main_window.MainWindow` makes each of them once.
"""
