"""Imports a folder of models that lies on the hub's own machine, with what other programs left beside the files."""
