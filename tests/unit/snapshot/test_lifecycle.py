from __future__ import annotations

from typing import get_args

import pytest

from pgstream_relay.snapshot.lifecycle import OPEN_STATES, State, Transition, after

FOLLOWING: dict[State, dict[Transition, State]] = {
    "pending": {"start": "running", "pause": "paused", "stop": "stopped", "fail": "failed"},
    "running": {"pause": "paused", "stop": "stopped", "finish": "completed", "fail": "failed"},
    "paused": {"resume": "running", "stop": "stopped", "fail": "failed"},
}


@pytest.mark.parametrize("state", get_args(State))
@pytest.mark.parametrize("transition", get_args(Transition))
def test_every_state_and_transition(state: State, transition: Transition) -> None:
    assert after(state, transition) == FOLLOWING.get(state, {}).get(transition)


@pytest.mark.parametrize("state", get_args(State))
def test_nothing_leads_out_of_a_final_state(state: State) -> None:
    ended = all(after(state, transition) is None for transition in get_args(Transition))
    assert ended == (state not in OPEN_STATES)
