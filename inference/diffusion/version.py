"""The renderer's own version: part of the key under which pictures are kept. Free of torch."""

RENDERER_VERSION = "1"
"""Raised by whatever changes the pictures that a recipe gives on the CPU."""
