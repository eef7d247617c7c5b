"""In production nothing is scanned on a machine that cannot lock the scanner in, unless somebody said so."""

from __future__ import annotations

from typing import Any

import pytest
from celery.signals import worker_init
from django.core import checks as system

from registry.sandbox import canary, parent
from scanner.checks import refuse_to_work, sandbox_holds


@pytest.fixture(autouse=True)
def production(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEBUG = False
    monkeypatch.delenv("WEIGH_ALLOW_WEAK_SANDBOX", raising=False)


@pytest.fixture
def weak(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the filter: the child that tries the locks finds only the limits."""
    monkeypatch.setattr(parent, "START", 'print(\'{"sandbox": ["rlimit"], "canary": {}}\')')


@pytest.mark.skipif("seccomp" not in canary.probe().get("sandbox", []), reason="this machine has no system-call filter")
def test_a_machine_with_the_filter_may_scan() -> None:
    assert sandbox_holds() == []
    refuse_to_work()


@pytest.mark.usefixtures("weak")
def test_a_machine_without_it_may_not() -> None:
    assert [error.id for error in sandbox_holds()] == ["scanner.E001"]
    assert "rlimit" in str(sandbox_holds()[0].msg)
    with pytest.raises(SystemExit, match="needs seccomp"):
        refuse_to_work()


def test_a_child_that_dies_is_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "START", "raise SystemExit(1)")
    assert "gets nothing" in str(sandbox_holds()[0].msg)


@pytest.mark.usefixtures("weak")
def test_somebody_may_say_that_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGH_ALLOW_WEAK_SANDBOX", "1")
    assert sandbox_holds() == []
    refuse_to_work()


@pytest.mark.usefixtures("weak")
def test_debugging_needs_no_sandbox(settings: Any) -> None:
    settings.DEBUG = True
    assert sandbox_holds() == []


def test_it_is_asked_when_a_worker_starts_and_before_a_deployment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr("scanner.checks.weakness", lambda: asked.append(True) or "")
    system.run_checks(tags=[system.Tags.security])
    assert not asked
    system.run_checks(tags=[system.Tags.security], include_deployment_checks=True)
    assert len(asked) == 1
    worker_init.send(sender=None)
    assert len(asked) == 2
