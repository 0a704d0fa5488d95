"""The weights that ship with the package, one folder a size."""
