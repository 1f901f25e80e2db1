import pytest

from groundup.training import (
    Callback,
    CancelBatch,
    CancelEpoch,
    CancelFit,
    CancelTraining,
    FiniteLoss,
    Progress,
    Recorder,
    Run,
    default_callbacks,
)
from groundup.training.callback import DEFAULTS, EVENTS, gravest


def test_a_method_that_is_no_event_is_refused():
    with pytest.raises(TypeError, match=r"Late\.after_bacth: no such event"):

        class Late(Callback):
            def after_bacth(self, run): ...


def test_other_methods_are_free():
    class Fine(Callback):
        def about(self): ...
        def after_batch(self, run): ...

    assert Fine().state_dict() == {}


def test_every_level_has_its_three_events():
    for level in ("batch", "training", "validation", "epoch", "fit"):
        names = (f"{when}_{level}" for when in ("before", "after"))
        assert EVENTS >= {*names, f"after_cancel_{level}"}


def test_a_callback_is_found_by_its_class_or_missed_by_name():
    run, recorder = Run(), Recorder()
    run.active = [Callback(), recorder]
    assert run[Recorder] is recorder
    run.active = [Callback()]
    with pytest.raises(KeyError, match="no Recorder among"):
        run[Recorder]


def test_a_learner_has_one_of_each_default_class(monkeypatch):
    kinds = [type(each) for each in default_callbacks()]
    assert set(kinds) == {Recorder, FiniteLoss, Progress}
    for name, kind in DEFAULTS.items():
        monkeypatch.setitem(DEFAULTS, name, kind)  # put back afterwards

    class Plain(Callback): ...

    class FiniteLoss2(FiniteLoss): ...

    assert [type(each) for each in default_callbacks()] == kinds
    continued = type("Progress", (Progress,), {})  # as a chapter continues it
    type("Recorder", (Callback,), {})  # somebody else's, of the same name
    now = [type(each) for each in default_callbacks()]
    assert continued in now and Progress not in now and Recorder in now


@pytest.mark.parametrize(
    ("errors", "decides"),
    [
        ((CancelBatch(), CancelFit(), CancelEpoch()), 1),
        ((CancelTraining(), CancelBatch()), 0),
        ((CancelFit(), ValueError()), 1),
        ((ValueError(), KeyboardInterrupt()), 0),
        ((type("Mine", (CancelBatch,), {})(), CancelEpoch()), 1),
    ],
)
def test_the_gravest_decides(errors, decides):
    assert gravest(*errors) is errors[decides]
