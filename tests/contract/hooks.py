"""What the schemas can't say: which sessions there are, and that a time to come lies within a week."""

import os
from datetime import datetime, timedelta, timezone

import schemathesis
from hypothesis import strategies as st

IDS = os.environ["SESSION_IDS"].split(",")


def in_seconds(seconds):
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


schemathesis.openapi.format("uuid", st.sampled_from(IDS) | st.uuids().map(str))
schemathesis.openapi.format("date-time", st.integers(600, 6 * 86_400).map(in_seconds))


@schemathesis.hook
def filter_case(context, case):
    """Not more than a hundred names: no schema can add up two lists."""
    body = case.body if isinstance(case.body, dict) else {}
    lists = [body[name] for name in ("ids", "emails") if isinstance(body.get(name), list)]
    return max(map(len, lists), default=0) > 100 or sum(map(len, lists)) <= 100
