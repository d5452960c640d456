"""Widgets, item models, delegates and canvas items. Never imports torch."""
