"""Tests of the pages: views by the test client, whole ways of people by a real browser."""
