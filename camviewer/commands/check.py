"""``camviewer-cli check``: versions, devices, folders, and what is wrong with this installation."""

from __future__ import annotations

import argparse
from typing import Any

from camviewer.commands.console import say
from camviewer.selfcheck import self_check


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "check",
        help="versions, devices, folders, and what is wrong",
        description="Print versions, devices, Qt and writable folders. The exit status is 1 where something does not "
        "work; the line then names the cure.",
    )
    parser.set_defaults(run=run)


def run(_given: argparse.Namespace) -> int:
    """Print the findings; return the exit status."""
    findings = self_check()
    width = max(len(finding.topic) for finding in findings)
    for finding in findings:
        mark = {"ok": "", "warning": "warning: ", "error": "error: "}[finding.state]
        say(f"{finding.topic:<{width}}  {mark}{finding.text}")
        if finding.cure:
            say(f"{'':<{width}}  cure: {finding.cure}")
    wrong = sum(finding.state == "error" for finding in findings)
    say("All is well." if not wrong else "Something does not work; the lines marked error name the cure.")
    return 1 if wrong else 0
