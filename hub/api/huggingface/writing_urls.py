"""Addresses by which this protocol writes: repositories, branches, tags, commits, large files. Reading is in `urls.py`."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
