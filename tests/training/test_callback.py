import pytest

from groundup.training import Callback, Recorder, Run
from groundup.training.callback import EVENTS


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
