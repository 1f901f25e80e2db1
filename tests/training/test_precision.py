"""groundup.training.precision: torch's autocast and GradScaler, by hand."""

import copy
import json
import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.testing._internal.autocast_test_lists import AutocastCPUTestLists

from groundup import nn, optim
from groundup.data import TensorLoader
from groundup.linalg import matmul
from groundup.nn.functional import cross_entropy
from groundup.nn.utils import clip_grad_norm_
from groundup.training import (
    Accumulate,
    Callback,
    CancelBatch,
    ClipGradient,
    GradScaler,
    Learner,
    MixedPrecision,
    autocast,
)

LISTS = {
    "torch_16": torch,
    "torch_fp32": torch,
    "nn_16": torch._C._nn,
    "nn_fp32": torch._C._nn,
    "torch_need_autocast_promote": torch,
    "torch_expect_builtin_promote": torch,
    "methods_expect_builtin_promote": None,
}
low_types = pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16], ids=str
)


def samples(dtype: torch.dtype):
    """torch's own list: (name, call), those of float16 for it."""
    torch.manual_seed(0)
    lists = AutocastCPUTestLists(torch.device("cpu"))
    for kind, home in LISTS.items():
        for name, *rest in getattr(lists, kind):
            args = rest[0]
            if "promote" in kind:  # a tuple of arguments for each low type
                args = rest[dtype == torch.float16]
            elif dtype == torch.float16:
                args = [_half(each) for each in args]
            options = rest[1] if isinstance(rest[-1], dict) else {}
            if home is None:
                function = getattr(torch.Tensor, name, None)
                if function is None:
                    continue  # Python 2's __div__
            else:
                function = getattr(home, name)
            yield name, lambda f=function, a=args, o=options: f(*a, **o)


def _half(value):
    is_low = isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16
    return value.half() if is_low else value


def outcome(call, region):
    """What a call gives in a region: a tensor, or the kind of its error."""
    try:
        with region:
            found = call()
    except (RuntimeError, ValueError) as error:
        return type(error)
    return found[0] if isinstance(found, tuple) else found


@low_types
@pytest.mark.earns(
    "torch.autocast",
    "torch.amp.autocast",
    "torch.amp.autocast_mode.autocast",
)
def test_torchs_own_list_of_operations_has_torchs_types_and_values(dtype):
    seen = []
    for name, call in samples(dtype):
        expected = outcome(call, torch.autocast("cpu", dtype))
        found = outcome(call, autocast("cpu", dtype))
        if isinstance(expected, type):
            assert found is expected, name
            continue
        assert found.dtype == expected.dtype, name
        assert_close(found, expected, equal_nan=True)
        seen.append(name)
    assert len(seen) > 50


x, weight, bias = torch.randn(4, 8), torch.randn(6, 8), torch.randn(6)
images, kernels = torch.randn(2, 3, 8, 8), torch.randn(4, 3, 3, 3)
labels = torch.tensor([0, 1, 2, 3])
PAIRS = {  # ours, and torch's, of inputs in float32
    "Linear": (lambda: nn.Linear(8, 6)(x), lambda: torch.nn.Linear(8, 6)(x)),
    "conv2d": (
        lambda: nn.functional.conv2d(images, kernels),
        lambda: F.conv2d(images, kernels),
    ),
    "Conv2d": (
        lambda: nn.Conv2d(3, 4, 3)(images),
        lambda: torch.nn.Conv2d(3, 4, 3)(images),
    ),
    "ConvTranspose2d": (
        lambda: nn.ConvTranspose2d(3, 4, 3)(images),
        lambda: torch.nn.ConvTranspose2d(3, 4, 3)(images),
    ),
    "Conv1d": (
        lambda: nn.Conv1d(8, 4, 3)(images[:, 0]),
        lambda: torch.nn.Conv1d(8, 4, 3)(images[:, 0]),
    ),
    "matmul": (lambda: matmul(x, weight.T), lambda: torch.matmul(x, weight.T)),
    "@": (lambda: x @ weight.T, lambda: x @ weight.T),
    "relu": (lambda: nn.ReLU()(x), lambda: F.relu(x)),
    "softmax": (lambda: nn.functional.softmax(x, 1), lambda: F.softmax(x, 1)),
    "max_pool": (
        lambda: nn.MaxPool2d(2)(images),
        lambda: F.max_pool2d(images, 2),
    ),
    "batch_norm": (
        lambda: nn.BatchNorm2d(3)(images),
        lambda: torch.nn.BatchNorm2d(3)(images),
    ),
    "batch_norm of a product": (
        lambda: nn.BatchNorm1d(6)(F.linear(x, weight)),
        lambda: torch.nn.BatchNorm1d(6)(F.linear(x, weight)),
    ),
    "layer_norm of a product": (
        lambda: nn.LayerNorm(6)(F.linear(x, weight)),
        lambda: torch.nn.LayerNorm(6)(F.linear(x, weight)),
    ),
    "group_norm of a convolution": (
        lambda: nn.GroupNorm(2, 4)(F.conv2d(images, kernels)),
        lambda: torch.nn.GroupNorm(2, 4)(F.conv2d(images, kernels)),
    ),
    "cross_entropy of a product": (
        lambda: cross_entropy(F.linear(x, weight), labels),
        lambda: F.cross_entropy(F.linear(x, weight), labels),
    ),
    "CrossEntropyLoss of a product": (
        lambda: nn.CrossEntropyLoss()(F.linear(x, weight), labels),
        lambda: torch.nn.CrossEntropyLoss()(F.linear(x, weight), labels),
    ),
    "MSELoss of a product": (
        lambda: nn.MSELoss()(F.linear(x, weight), x[:, :6]),
        lambda: torch.nn.MSELoss()(F.linear(x, weight), x[:, :6]),
    ),
    "BCEWithLogitsLoss of a product": (
        lambda: nn.BCEWithLogitsLoss()(F.linear(x, weight), x[:, :6].sigmoid()),
        lambda: F.binary_cross_entropy_with_logits(
            F.linear(x, weight), x[:, :6].sigmoid()
        ),
    ),
    "sum with float32": (
        lambda: F.linear(x, weight) + bias,
        lambda: F.linear(x, weight) + bias,
    ),
    "cat": (
        lambda: torch.cat([F.linear(x, weight), x], 1),
        lambda: torch.cat([F.linear(x, weight), x], 1),
    ),
    "dropout": (lambda: nn.Dropout(0.5)(x), lambda: F.dropout(x)),
}


@low_types
@pytest.mark.parametrize("name", PAIRS)
def test_the_books_operations_have_the_type_of_torchs(name, dtype):
    ours, theirs = PAIRS[name]
    with torch.autocast("cpu", dtype):
        expected = theirs()
    with autocast("cpu", dtype):
        found = ours()
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)


def test_regions_lie_in_each_other_and_end_with_an_error():
    types = []
    with autocast("cpu"):
        types.append((x @ x.T).dtype)
        with autocast("cpu", enabled=False):
            types.append((x @ x.T).dtype)
            with autocast("cpu", torch.float16):
                types.append((x @ x.T).dtype)
        with pytest.raises(ZeroDivisionError), autocast("cpu", enabled=False):
            raise ZeroDivisionError
        types.append((x @ x.T).dtype)
    types.append((x @ x.T).dtype)
    low, wide = torch.bfloat16, torch.float32
    assert types == [low, wide, torch.float16, low, wide]


def test_one_region_can_be_entered_again_and_decorate():
    region = autocast("cpu")

    @region
    def product(depth=0):
        """A product."""
        return product(depth - 1) if depth else x @ x.T

    assert product(2).dtype == torch.bfloat16
    assert (x @ x.T).dtype == torch.float32
    assert product.__doc__ == "A product."


def test_doubles_integers_places_and_outs_are_left_alone():
    with autocast("cpu"):
        assert (x.double() @ x.double().T).dtype == torch.float64
        assert (labels[None] @ labels).dtype == torch.int64
        out = torch.empty(4, 4)
        torch.mm(x, x.T, out=out)
        total = torch.zeros(4, 4)
        total.addmm_(x, x.T)
    assert_close(out, x @ x.T)
    assert_close(total, x @ x.T)


def test_gradients_come_back_in_the_type_of_the_weights():
    ours, theirs = nn.Linear(8, 6), torch.nn.Linear(8, 6)
    theirs.load_state_dict(ours.state_dict())
    for layer, region in ((ours, autocast), (theirs, torch.autocast)):
        with region("cpu", torch.bfloat16):
            y = layer(x)
        y.float().square().sum().backward()
    for mine, other in zip(ours.parameters(), theirs.parameters()):
        assert mine.grad.dtype == torch.float32
        assert_close(mine.grad, other.grad)


@pytest.mark.parametrize(
    "args, error", [((1,), ValueError), (("abacus",), RuntimeError)]
)
def test_what_is_no_device_is_refused_as_torch_does(args, error):
    for kind in (autocast, torch.autocast):
        with pytest.raises(error):
            kind(*args)


def test_a_type_that_is_not_low_warns_and_turns_it_off():
    for kind in (autocast, torch.autocast):
        with pytest.warns(UserWarning):
            region = kind("cpu", torch.float64)
        with region:
            assert (x @ x.T).dtype == torch.float32


# The scaler


class Script:
    """Two parameters and a scaler, driven by a script of gradients."""

    def __init__(self, kind, dtype=torch.float32, **options):
        self.scaler = kind("cpu", **options)
        self.params = [torch.nn.Parameter(torch.ones(3, dtype=dtype))]
        self.params += [torch.nn.Parameter(torch.ones(2, dtype=dtype))]
        self.optimizer = torch.optim.SGD(self.params, lr=0.125)
        self.steps = 0
        step = self.optimizer.step

        def counted(*args, **kwargs):
            self.steps += 1
            return step(*args, **kwargs)

        self.optimizer.step = counted

    def play(self, word: str) -> tuple:
        """One iteration; what can be seen after it, or an error's kind."""
        loss = sum(param.sum() for param in self.params) * 0.5
        try:
            self.scaler.scale(loss).backward()
            for letter in word:
                self._do(letter)
        except (RuntimeError, AssertionError, ValueError) as error:
            return type(error).__name__, *self.seen()
        self.optimizer.zero_grad()
        return self.seen()

    def _do(self, letter: str) -> None:
        grad = self.params[1].grad
        if letter in "xn-":
            grad[1] = {"x": math.inf, "-": -math.inf, "n": math.nan}[letter]
        elif letter == "u":
            self.scaler.unscale_(self.optimizer)
        elif letter == "c":
            clip_grad_norm_(self.params, 0.25)
        elif letter == "s":
            self.scaler.step(self.optimizer)
        elif letter == "p":
            self.scaler.update()
        elif letter == "m":
            self.scaler.update(3.0)

    def seen(self) -> tuple:
        grads = [p.grad for p in self.params if p.grad is not None]
        return (
            json.dumps(self.scaler.state_dict()),
            self.scaler.get_scale(),
            self.steps,
            [p.detach().clone() for p in self.params],
            [grad.clone() for grad in grads],
        )


def assert_same_play(words, **options):
    ours = Script(GradScaler, **options)
    theirs = Script(torch.amp.GradScaler, **options)
    for place, word in enumerate(words):
        found, expected = ours.play(word), theirs.play(word)
        told = f"{words} at {place}"
        *found, params, grads = found
        *expected, their_params, their_grads = expected
        assert found == expected, told
        for mine, other in zip(params + grads, their_params + their_grads):
            assert torch.equal(mine.nan_to_num(), other.nan_to_num()), told


@pytest.mark.earns("torch.amp.GradScaler", "torch.amp.grad_scaler.GradScaler")
@settings(max_examples=150)
@given(
    words=st.lists(
        st.sampled_from(
            ["sp", "usp", "ucsp", "xsp", "-usp", "nusp", "xucsp", "sm", "usm"]
        ),
        max_size=25,
    ),
    init_scale=st.sampled_from([1.0, 2.0**16, 1.7e38, 3.0, 1e-30]),
    growth_factor=st.floats(1.01, 5.0),
    backoff_factor=st.floats(0.0, 0.99),
    growth_interval=st.integers(1, 4),
)
def test_every_script_has_torchs_trace(words, **options):
    assert_same_play(words, **options)


@pytest.mark.earns("torch.amp.GradScaler", "torch.amp.grad_scaler.GradScaler")
@settings(max_examples=150)
@given(words=st.lists(st.text("xuscpm", max_size=5), max_size=6))
def test_every_order_of_calls_has_torchs_errors(words):
    assert_same_play(words, growth_interval=2)


@pytest.mark.earns("torch.amp.GradScaler", "torch.amp.grad_scaler.GradScaler")
@pytest.mark.parametrize("word", ["sp", "usp", "xsp"])
def test_gradients_of_other_types_do_as_in_torch(word):
    for dtype in (torch.bfloat16, torch.float64, torch.float16):
        assert_same_play([word] * 3, dtype=dtype, init_scale=1000.0)


@pytest.mark.earns("torch.amp.GradScaler", "torch.amp.grad_scaler.GradScaler")
@pytest.mark.parametrize(
    "options",
    [
        {"growth_factor": 1.0},
        {"backoff_factor": 1.0},
        {"growth_factor": 1.0, "enabled": False},
        {"enabled": False},
    ],
)
def test_options_and_a_disabled_scaler_do_as_in_torch(options):
    found = []
    for kind in (GradScaler, torch.amp.GradScaler):
        try:
            script = Script(kind, **options)
        except AssertionError as error:
            found.append(str(error))
            continue
        scaler = script.scaler
        found.append(
            (
                [str(each) for each in script.play("usp")],
                scaler.is_enabled(),
                scaler.state_dict(),
                scaler.load_state_dict({}),
            )
        )
    assert found[0] == found[1]


def test_a_factor_does_not_grow_to_infinity():
    options = {"init_scale": 1.7e38, "growth_factor": 4.0}
    assert_same_play(["sp", "sp", "xsp", "sp"], growth_interval=1, **options)


def test_a_step_needs_a_loss_that_was_scaled_and_gradients():
    for kind in (GradScaler, torch.amp.GradScaler):
        script = Script(kind)
        for call in (
            lambda: script.scaler.step(script.optimizer),
            lambda: script.scaler.unscale_(script.optimizer),
            script.scaler.update,
        ):
            with pytest.raises(AssertionError):
                call()
        script.scaler.scale(torch.ones(()))
        with pytest.raises(AssertionError, match="No inf checks"):
            script.scaler.step(script.optimizer)
        with pytest.raises(RuntimeError, match="[Cc]losure"):
            script.scaler.step(script.optimizer, closure=lambda: 0.0)


def test_what_is_scaled_may_be_nested_and_must_be_tensors():
    ours, theirs = GradScaler("cpu"), torch.amp.GradScaler("cpu")
    one = torch.ones(2)
    for outputs in (one, [one, 2 * one], (one, [one]), one.half()):
        found, expected = ours.scale(outputs), theirs.scale(outputs)
        assert str(found) == str(expected)
    assert [str(t) for t in ours.scale(iter([one]))] == [str(ours.scale(one))]
    for scaler in (ours, theirs):
        with pytest.raises(ValueError, match="iterable of Tensors"):
            scaler.scale(3)


@pytest.mark.earns("torch.amp.GradScaler", "torch.amp.grad_scaler.GradScaler")
@pytest.mark.parametrize("begun", [True, False])
def test_a_state_goes_over_in_both_directions(begun):
    words = ["sp", "xsp", "sp"]
    for source in (GradScaler, torch.amp.GradScaler):
        saved = Script(source, growth_interval=3, init_scale=8.0)
        for word in words:
            saved.play(word)
        state = json.loads(json.dumps(saved.scaler.state_dict()))
        traces = []
        for kind in (GradScaler, torch.amp.GradScaler):
            script = Script(kind)
            if begun:
                script.play("sp")
            script.scaler.load_state_dict(copy.deepcopy(state))
            assert script.scaler.state_dict() == state
            traces.append([script.play(word)[:2] for word in words * 2])
        assert traces[0] == traces[1]
        with pytest.raises(RuntimeError):
            script.scaler.load_state_dict({})


def test_its_numbers_can_be_asked_for_and_set():
    for kind in (GradScaler, torch.amp.GradScaler):
        scaler = kind("cpu")
        assert scaler.get_scale() == 2.0**16
        scaler.set_growth_factor(3.0)
        scaler.set_backoff_factor(0.25)
        scaler.set_growth_interval(7)
        assert scaler.get_growth_factor() == 3.0
        assert scaler.get_backoff_factor() == 0.25
        assert scaler.get_growth_interval() == 7


def test_two_optimizers_share_one_factor():
    traces = []
    for kind in (GradScaler, torch.amp.GradScaler):
        scaler, rows = kind("cpu", growth_interval=2), []
        weights = [torch.nn.Parameter(torch.ones(())) for _ in range(2)]
        both = [torch.optim.SGD([weight], lr=0.5) for weight in weights]
        for slopes in ((1, 1), (math.inf, 1), (1, 1), (1, 1)):
            for weight, slope, each in zip(weights, slopes, both):
                each.zero_grad()
                scaler.scale(weight * slope).backward()
                scaler.step(each)
            scaler.update()
            values = [weight.item() for weight in weights]
            rows.append((scaler.get_scale(), *values))
        traces.append(rows)
    assert traces[0] == traces[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="without a GPU")
def test_without_a_gpu_the_default_warns_and_is_disabled():
    with pytest.warns(UserWarning, match="cuda"):
        assert not GradScaler().is_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert GradScaler("cpu").is_enabled()


# The callback


def small(*callbacks, n=60, lr=0.1, seed=0, **options):
    torch.manual_seed(seed)
    data, target = torch.randn(n, 8), torch.randint(0, 3, (n,))
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    loader = TensorLoader(data, target, batch_size=10)
    options = {"optim": optim.SGD, "lr": lr, "defaults": ()} | options
    return Learner(model, loader, loader, callbacks=callbacks, **options)


class Watch(Callback):
    """Types and losses as a callback beside it sees them."""

    order = 90

    def __init__(self):
        self.types, self.losses, self.ends = [], [], 0

    def after_predict(self, run):
        self.types.append((run.prediction.dtype, (x @ x.T).dtype))

    def after_step(self, run):
        self.losses.append(run.loss.item())

    def after_batch(self, run):
        self.ends += 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, None])
def test_it_trains_as_float32_does_and_tells_the_loss_as_it_is(dtype):
    watch, plain = Watch(), Watch()
    precise = small(plain)
    precise.fit(3)
    mixed = small(watch, *([MixedPrecision(dtype)] if dtype else []))
    mixed.fit(3)
    assert_close(watch.losses, plain.losses, rtol=0.03, atol=0.01)
    assert {*watch.types} == {(torch.float32, torch.float32)}
    for mine, other in zip(
        mixed.model.parameters(), precise.model.parameters()
    ):
        assert mine.dtype == torch.float32
        assert_close(mine, other, rtol=0.05, atol=0.03)
    assert (mixed.evaluate()["loss"] == precise.evaluate()["loss"]) != bool(
        dtype
    )


def test_the_products_run_in_the_low_type_in_validation_too():
    seen = []

    class Asks(nn.Module):
        def forward(self, input):
            output = input @ torch.zeros(8, 3)
            seen.append(output.dtype)
            return output + self.bias

        def __init__(self):
            self.bias = nn.Parameter(torch.zeros(3))

    learn = small(MixedPrecision())
    learn.model.append(nn.Linear(3, 8))
    learn.model.append(Asks())
    learn.evaluate()
    learn.predict(learn.train)
    assert {*seen} == {torch.bfloat16} and len(seen) == 12


@pytest.mark.parametrize("n", [1, 2, 4])
def test_clipping_and_accumulation_see_what_float32_gives(n):
    found = []
    scaler = GradScaler("cpu", init_scale=2.0**8)
    for callbacks in ([], [MixedPrecision(torch.float16, scaler)]):
        clip = ClipGradient(0.1)
        norms = []

        class Norms(Callback):
            order = 70

            def before_step(self, run):
                norms.append(clip.norm.item())

        learn = small(*callbacks, clip, Accumulate(n), Norms())
        learn.fit(2)
        found.append((norms, [p.detach() for p in learn.model.parameters()]))
    assert len(found[0][0]) == 2 * math.ceil(6 / n)
    assert_close(found[1][0], found[0][0], rtol=0.02, atol=1e-3)
    for mine, other in zip(found[1][1], found[0][1]):
        assert_close(mine, other, rtol=0.02, atol=2e-3)


@pytest.mark.parametrize("n", [1, 3])
def test_a_step_with_an_infinite_gradient_is_left_out(n):
    precision = MixedPrecision(
        torch.float16, GradScaler("cpu", init_scale=2.0**24)
    )
    seen = []

    class Spoils(Callback):
        order = 54  # before the gradients are divided

        def before_step(self, run):
            weight = next(run.model.parameters())
            seen.append(weight.detach().clone())
            if len(seen) == 2:
                weight.grad[0, 0] = math.inf

    precision.scaler.set_growth_interval(1000)
    precision.scaler.load_state_dict(
        precision.scaler.state_dict() | {"scale": 16.0}
    )
    learn = small(precision, Accumulate(n), Spoils())
    learn.fit(3 if n > 1 else 1)
    assert precision.skipped == 1 and precision.scaler.get_scale() == 8.0
    assert torch.equal(seen[1], seen[2]) and not torch.equal(seen[2], seen[3])
    assert learn.step == len(seen) - 1
    for param in learn.model.parameters():
        assert param.isfinite().all()


def test_a_scale_that_is_far_too_high_comes_down():
    scaler = GradScaler("cpu", init_scale=2.0**60)
    precision = MixedPrecision(torch.float16, scaler)
    learn = small(precision)
    learn.fit(12)
    assert precision.skipped > 20 and scaler.get_scale() < 2.0**40
    assert learn.step == 72 - precision.skipped > 0


@pytest.mark.parametrize("place", ["before_batch", "after_predict", "model"])
def test_an_error_or_a_cancel_on_the_way_leaves_the_region(place):
    class Stops(Callback):
        order = 80

        def stop(self, run):
            raise CancelBatch

    if place != "model":
        setattr(Stops, place, Stops.stop)
    learn = small(MixedPrecision(), Stops())
    if place == "model":
        learn.model.append(torch.nn.Identity())
        learn.model.append(nn.Linear(5, 5))  # does not fit
        with pytest.raises((RuntimeError, ValueError)):
            learn.fit(1)
    else:
        learn.fit(1)
    assert (x @ x.T).dtype == torch.float32


def test_the_state_holds_the_factor_and_what_was_left_out():
    first = MixedPrecision(torch.float16, GradScaler("cpu", init_scale=2.0**60))
    small(first).fit(3)
    state = json.loads(json.dumps(first.state_dict()))
    second = MixedPrecision(torch.float16)
    second.load_state_dict(state)
    assert second.state_dict() == state and second.skipped == first.skipped
