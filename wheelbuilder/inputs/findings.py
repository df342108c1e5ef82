"""What lint commands find: one thing that is wrong or odd."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"  # it cannot work as written, or nobody knows what is meant
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is wrong or odd. code: names the check. projects: those it is about."""

    severity: Severity
    code: str
    message: str
    projects: tuple[str, ...] = ()


def error(code: str, message: object, projects: Iterable[str] = ()) -> Finding:
    """Return what cannot stay."""
    return Finding(severity=Severity.ERROR, code=code, message=str(message), projects=tuple(projects))


def warning(code: str, message: object, projects: Iterable[str] = ()) -> Finding:
    """Return what is only odd."""
    return Finding(severity=Severity.WARNING, code=code, message=str(message), projects=tuple(projects))


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings with the errors first, otherwise as they are."""
    return tuple(sorted(findings, key=lambda it: it.severity is not Severity.ERROR))
