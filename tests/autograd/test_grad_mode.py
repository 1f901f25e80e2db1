"""no_grad as a block and a decorator, nested, through errors and threads."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from groundup.autograd import Variable, is_grad_enabled, no_grad

MODES = [
    pytest.param(lambda: Variable(1.0), no_grad, is_grad_enabled, id="ours"),
    pytest.param(
        lambda: torch.tensor(1.0),
        torch.no_grad,
        torch.is_grad_enabled,
        id="torch",
    ),
]


@pytest.mark.earns("torch.no_grad", "torch.is_grad_enabled")
@pytest.mark.parametrize("make, no_grad, enabled", MODES)
def test_nothing_is_recorded_inside(
    make: object, no_grad: object, enabled: object
):
    x = make().requires_grad_()

    @no_grad()
    def double() -> object:
        assert not enabled()
        return x * 2

    with no_grad():
        with no_grad():
            assert not enabled()
        assert not enabled()
        assert (x * 2).is_leaf and x.requires_grad
    for _ in range(2):
        assert double().grad_fn is None
        assert enabled() and (x * 2).grad_fn is not None


@pytest.mark.parametrize("make, no_grad, enabled", MODES)
def test_an_error_inside_switches_it_on_again(
    make: object, no_grad: object, enabled: object
):
    with pytest.raises(ZeroDivisionError), no_grad():
        _ = 1 / 0
    assert enabled()


@pytest.mark.parametrize("make, no_grad, enabled", MODES)
def test_another_thread_is_not_disturbed(
    make: object, no_grad: object, enabled: object
):
    with no_grad(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(enabled).result()


@pytest.mark.parametrize("make, no_grad, enabled", MODES)
@pytest.mark.parametrize("bare", [True, False])
def test_it_decorates_with_and_without_brackets(make, no_grad, enabled, bare):
    function = (no_grad if bare else no_grad())(enabled)
    assert function() is False and enabled() is True


@pytest.mark.parametrize("make, no_grad, enabled", MODES)
@pytest.mark.parametrize("bare", [True, False])
def test_a_generator_is_off_only_while_it_runs(make, no_grad, enabled, bare):
    closed = []

    def steps():
        try:
            while True:
                try:
                    sent = yield enabled()
                    assert sent is None or (sent, enabled()) == ("sent", False)
                except KeyError:
                    yield "caught", enabled()
                    return "over"
        finally:
            closed.append(enabled())

    generator = (no_grad if bare else no_grad())(steps)()
    assert next(generator) is False and enabled() is True
    assert generator.send("sent") is False
    assert generator.throw(KeyError()) == ("caught", False)
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value == "over" and closed == [False]
    other = (no_grad if bare else no_grad())(steps)()
    next(other)
    other.close()
    assert closed == [False, False] and enabled() is True


@pytest.mark.parametrize("make, no_grad, enabled", MODES)
@pytest.mark.parametrize("bare", [True, False])
def test_on_a_class_it_warns_and_is_off_while_an_instance_is_made(
    make, no_grad, enabled, bare
):
    class Made:
        def __init__(self, value: int):
            self.value, self.at_start = value, enabled()

        def later(self) -> bool:
            return enabled()

    with pytest.warns(FutureWarning, match="__init__") as caught:
        decorated = (no_grad if bare else no_grad())(Made)
    made = decorated(value=3)
    assert type(made) is Made and (made.value, made.at_start) == (3, False)
    assert made.later() and enabled() and len(caught) == 1
