"""A template filter that says in words what a recipe keeps, and how precisely. No queries."""

from __future__ import annotations

from typing import Any

from django import template

from hub.web import words
from inference.weights.recipe import Recipe

register = template.Library()


@register.filter
def recipe_words(wanted: Any) -> str:
    """A `Recipe`, or one as the database and reports keep it: "averaged (EMA) weights, half precision (fp16)"."""
    return words.recipe(wanted.to_json() if isinstance(wanted, Recipe) else wanted)
