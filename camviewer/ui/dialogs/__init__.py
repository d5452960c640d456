"""The dialogs: opening a model, exporting, keys, about."""
