"""Order and cancelling of waiting jobs."""

from __future__ import annotations

from pathlib import Path

from fake_engine import MAPS, load, maps

from camviewer.regions.rules import RegionRule
from camviewer.workers.inbox import Inbox
from camviewer.workers.jobs import ComputeBatch, StartEngine


def test_urgent_jobs_go_first_and_equals_by_age():
    inbox = Inbox()
    batch = ComputeBatch((Path("x"),), MAPS, RegionRule())
    jobs = [batch, maps("a"), maps("b"), load(), StartEngine()]
    for job in jobs:
        inbox.put(job)
    assert [inbox.take() for _ in range(6)] == [jobs[4], jobs[3], jobs[1], jobs[2], jobs[0], None]


def test_a_job_put_back_goes_ahead_of_its_equals():
    inbox = Inbox()
    first, second = maps("a"), maps("b")
    inbox.put(first)
    inbox.put(second)
    taken = inbox.take()
    inbox.put_back(taken)
    assert inbox.take() is first


def test_only_a_more_urgent_live_job_makes_one_step_aside():
    inbox = Inbox()
    batch = ComputeBatch((Path("x"),), MAPS, RegionRule())
    inbox.put(ComputeBatch((Path("y"),), MAPS, RegionRule()))
    assert not inbox.should_step_aside(batch)
    urgent = maps("a")
    inbox.put(urgent)
    assert inbox.should_step_aside(batch)
    inbox.cancel(urgent.token)
    assert not inbox.should_step_aside(batch)


def test_closing_cancels_everything_and_hands_out_nothing():
    inbox = Inbox()
    job = maps("a")
    inbox.put(job)
    assert not inbox.is_cancelled(job.token)
    inbox.close()
    assert inbox.is_cancelled(job.token)
    assert inbox.take() is None
