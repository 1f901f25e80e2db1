"""Tests of groundup.optim.lr_scheduler: torch is the judge, step by step."""

import copy
import inspect
import math

import pytest
import torch

from groundup.optim import lr_scheduler

THEIRS = torch.optim.lr_scheduler
N_STEPS = 60
pytestmark = pytest.mark.filterwarnings(
    "ignore:The epoch parameter", "ignore:Detected call of"
)


def optimizer_of(kind: str = "SGD") -> torch.optim.Optimizer:
    """Two parameter groups with rates of their own."""
    options = {"momentum": 0.9} if kind in ("SGD", "RMSprop") else {}
    groups = [{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)]}]
    groups[1]["lr"] = 0.03
    return getattr(torch.optim, kind)(groups, lr=0.5, **options)


def values(optimizer: torch.optim.Optimizer) -> list[float]:
    """Everything that a scheduler may set."""
    found = []
    for group in optimizer.param_groups:
        found.append(float(group["lr"]))
        found.append(group.get("momentum", group.get("betas", (0,))[0]))
    return found


class Course:
    """A scheduler of ours or torch's on an optimizer, and what it set."""

    def __init__(self, package, make, kind="SGD"):
        self.optimizer = optimizer_of(kind)
        self.scheduler = make(package, self.optimizer)
        self.set = [values(self.optimizer)]

    def run(self, n_steps: int) -> "Course":
        for _ in range(n_steps):
            self.optimizer.step()
            self.scheduler.step()
            self.set.append(values(self.optimizer))
            lrs = [group["lr"] for group in self.optimizer.param_groups]
            assert [float(lr) for lr in self.scheduler.get_last_lr()] == lrs
        return self


def check(make, kind="SGD", n_steps=N_STEPS) -> None:
    """Equal at every step, and after a change of hands at several."""
    ours = Course(lr_scheduler, make, kind).run(n_steps)
    theirs = Course(THEIRS, make, kind).run(n_steps)
    for actual, expected in zip(ours.set, theirs.set, strict=True):
        assert actual == pytest.approx(expected, rel=1e-9, abs=1e-15)
    for begin, end in (
        (lr_scheduler, THEIRS),
        (THEIRS, lr_scheduler),
        (lr_scheduler, lr_scheduler),
    ):
        for at in (1, 7, 23):
            first = Course(begin, make, kind).run(at)
            second = Course(end, make, kind)
            states = first.optimizer.state_dict(), first.scheduler.state_dict()
            second.optimizer.load_state_dict(copy.deepcopy(states[0]))
            second.scheduler.load_state_dict(copy.deepcopy(states[1]))
            second.run(n_steps - at)
            expected = theirs.set[at + 1 :]
            for one, other in zip(second.set[1:], expected, strict=True):
                assert one == pytest.approx(other, rel=1e-9, abs=1e-15)


def grid(name: str, *settings: dict):
    """Parametrize over settings of one scheduler."""

    def make(options):
        return lambda package, opt: getattr(package, name)(opt, **options)

    ids = [f"{name}-{', '.join(map(str, s))}" for s in settings]
    return pytest.mark.parametrize("make", [*map(make, settings)], ids=ids)


@grid(
    "StepLR",
    {"step_size": 10},
    {"step_size": 1, "gamma": 0.9},
    {"step_size": 7, "gamma": 0.0},
    {"step_size": 100},
)
@pytest.mark.earns("torch.optim.lr_scheduler.StepLR")
def test_step_lr(make):
    check(make)


@grid(
    "MultiStepLR",
    {"milestones": [3, 8, 40]},
    {"milestones": [5, 5, 2], "gamma": 0.5},
    {"milestones": []},
    {"milestones": [0, 1], "gamma": 0.3},
)
@pytest.mark.earns("torch.optim.lr_scheduler.MultiStepLR")
def test_multi_step_lr(make):
    check(make)


@grid(
    "ConstantLR",
    {},
    {"factor": 0.5, "total_iters": 20},
    {"factor": 1.0},
    {"factor": 0.1, "total_iters": 1},
)
@pytest.mark.earns("torch.optim.lr_scheduler.ConstantLR")
def test_constant_lr(make):
    check(make)


@grid(
    "LinearLR",
    {},
    {"start_factor": 0.01, "total_iters": 30},
    {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 20},
    {"start_factor": 1.0, "end_factor": 0.2, "total_iters": 1},
    {"total_iters": 100},
)
@pytest.mark.earns("torch.optim.lr_scheduler.LinearLR")
def test_linear_lr(make):
    check(make)


@grid("ExponentialLR", {"gamma": 0.9}, {"gamma": 1.0}, {"gamma": 1.05})
@pytest.mark.earns("torch.optim.lr_scheduler.ExponentialLR")
def test_exponential_lr(make):
    check(make)


@grid(
    "PolynomialLR",
    {},
    {"total_iters": 30, "power": 2.0},
    {"total_iters": 80, "power": 0.5},
    {"total_iters": 20, "power": 0.9},
)
@pytest.mark.earns("torch.optim.lr_scheduler.PolynomialLR")
def test_polynomial_lr(make):
    check(make)


@grid(
    "CosineAnnealingLR",
    {"T_max": 60},
    {"T_max": 10},
    {"T_max": 7, "eta_min": 0.01},
    {"T_max": 25, "eta_min": 0.1},
    {"T_max": 1, "eta_min": 0.1},
)
@pytest.mark.earns("torch.optim.lr_scheduler.CosineAnnealingLR")
def test_cosine_annealing_lr(make):
    check(make)


@grid(
    "CosineAnnealingWarmRestarts",
    {"T_0": 10},
    {"T_0": 1},
    {"T_0": 3, "T_mult": 2},
    {"T_0": 5, "T_mult": 3, "eta_min": 0.01},
)
@pytest.mark.earns("torch.optim.lr_scheduler.CosineAnnealingWarmRestarts")
def test_warm_restarts(make):
    check(make)


@pytest.mark.earns(
    "torch.optim.lr_scheduler.LambdaLR",
    "torch.optim.lr_scheduler.MultiplicativeLR",
)
@pytest.mark.parametrize("name", ["LambdaLR", "MultiplicativeLR"])
def test_functions_one_for_all_and_one_for_each_group(name):
    def decay(step):
        return 0.97 - 0.001 * step

    for functions in (decay, [decay, lambda step: 1.0]):
        check(lambda package, opt, f=functions: getattr(package, name)(opt, f))


class Growing:
    def __init__(self):
        self.calls = 0

    def __call__(self, step):
        self.calls += 1
        return 1.0 + 0.01 * self.calls


@pytest.mark.parametrize("name", ["LambdaLR", "MultiplicativeLR"])
def test_an_object_that_is_called_is_saved_by_its_attributes(name):
    def make(package, opt):
        return getattr(package, name)(opt, Growing())

    ours, theirs = (Course(p, make).run(9) for p in (lr_scheduler, THEIRS))
    assert ours.set == theirs.set
    kept = ours.scheduler.state_dict()["lr_lambdas"]
    assert kept == theirs.scheduler.state_dict()["lr_lambdas"]
    fresh = Course(lr_scheduler, make)
    fresh.scheduler.load_state_dict(theirs.scheduler.state_dict())
    calls = theirs.scheduler.lr_lambdas[0].calls
    assert fresh.scheduler.lr_lambdas[0].calls == calls


@grid(
    "CyclicLR",
    {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 5},
    {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 4, "step_size_down": 9},
    {"base_lr": [0.1, 0.2], "max_lr": [1.0, 2.0], "mode": "triangular2"}
    | {"step_size_up": 6},
    {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 5, "mode": "exp_range"}
    | {"gamma": 0.98},
    {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 5}
    | {"cycle_momentum": False},
    {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 5}
    | {"scale_fn": lambda x: 0.5**x, "scale_mode": "iterations"},
    {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 5}
    | {"base_momentum": [0.7, 0.6], "max_momentum": 0.95},
)
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.earns("torch.optim.lr_scheduler.CyclicLR")
def test_cyclic_lr(make, kind):
    check(make, kind)


@grid(
    "OneCycleLR",
    {"max_lr": 1.0, "total_steps": 60},
    {"max_lr": [1.0, 0.1], "epochs": 6, "steps_per_epoch": 10},
    {"max_lr": 1.0, "total_steps": 61, "pct_start": 0.25},
    {"max_lr": 1.0, "total_steps": 70, "anneal_strategy": "linear"},
    {"max_lr": 1.0, "total_steps": 60, "three_phase": True},
    {"max_lr": 1.0, "total_steps": 60, "cycle_momentum": False},
    {"max_lr": 1.0, "total_steps": 60, "div_factor": 10.0}
    | {"final_div_factor": 100.0, "base_momentum": [0.8, 0.7]},
)
@pytest.mark.parametrize("kind", ["SGD", "Adam", "RMSprop"])
@pytest.mark.earns("torch.optim.lr_scheduler.OneCycleLR")
def test_one_cycle_lr(make, kind):
    check(make, kind)


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"patience": 0, "factor": 0.5, "cooldown": 3},
        {"patience": 1, "mode": "max", "threshold": 0.05},
        {"patience": 1, "threshold_mode": "abs", "threshold": 0.1},
        {"patience": 1, "mode": "max", "threshold_mode": "abs"},
        {"patience": 1, "min_lr": [0.1, 0.01]},
        {"patience": 1, "min_lr": 0.02, "eps": 0.05},
    ],
    ids=str,
)
@pytest.mark.earns("torch.optim.lr_scheduler.ReduceLROnPlateau")
def test_reduce_lr_on_plateau(options):
    torch.manual_seed(0)
    metrics = (1 / torch.arange(1.0, 61.0) + 0.1 * torch.rand(60)).tolist()
    metrics[20] = math.nan

    def course(package, start=0, optimizer=None, state=None):
        optimizer = optimizer or optimizer_of()
        scheduler = package.ReduceLROnPlateau(optimizer, **options)
        if state is not None:
            scheduler.load_state_dict(state)
        found, states = [], []
        for metric in metrics[start:]:
            states.append(copy.deepcopy(scheduler.state_dict()))
            scheduler.step(torch.tensor(metric))
            found.append(values(optimizer))
            assert scheduler.get_last_lr() == found[-1][::2]
        return found, states

    ours, theirs = course(lr_scheduler), course(THEIRS)
    assert ours[0] == theirs[0]
    for states, package in ((ours[1], THEIRS), (theirs[1], lr_scheduler)):
        optimizer = optimizer_of()
        for group, lr in zip(
            optimizer.param_groups, theirs[0][29][::2], strict=True
        ):
            group["lr"] = lr
        again, _ = course(package, 30, optimizer, states[30])
        assert again == theirs[0][30:]


def test_a_plateau_in_cooldown_does_not_count():
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimizer_of(), patience=0, cooldown=2
    )
    scheduler.step(1.0)
    scheduler.step(1.0)
    assert scheduler.in_cooldown


CHAINS = {
    "constant, exponential": [
        ("ConstantLR", {"total_iters": 4}),
        ("ExponentialLR", {"gamma": 0.9}),
    ],
    "linear, cosine": [
        ("LinearLR", {"total_iters": 10}),
        ("CosineAnnealingLR", {"T_max": 20, "eta_min": 0.001}),
    ],
    "step, multistep, polynomial": [
        ("StepLR", {"step_size": 6}),
        ("MultiStepLR", {"milestones": [3, 20]}),
        ("PolynomialLR", {"total_iters": 50}),
    ],
}


@pytest.mark.parametrize("parts", CHAINS.values(), ids=CHAINS)
@pytest.mark.earns("torch.optim.lr_scheduler.ChainedScheduler")
def test_chained_schedulers_multiply(parts):
    def make(package, opt):
        made = [getattr(package, name)(opt, **o) for name, o in parts]
        return package.ChainedScheduler(made)

    check(make)


SEQUENCES = {
    "warm-up, cosine": (
        [
            ("LinearLR", {"start_factor": 0.1, "total_iters": 5}),
            ("CosineAnnealingLR", {"T_max": 55}),
        ],
        [5],
    ),
    "constant, exponential, step": (
        [
            ("ConstantLR", {"factor": 0.1, "total_iters": 3}),
            ("ExponentialLR", {"gamma": 0.9}),
            ("StepLR", {"step_size": 5}),
        ],
        [10, 30],
    ),
    "restarts, polynomial": (
        [
            ("CosineAnnealingWarmRestarts", {"T_0": 4, "T_mult": 2}),
            ("PolynomialLR", {"total_iters": 20}),
        ],
        [13],
    ),
    "function, one cycle": (
        [
            ("LambdaLR", {"lr_lambda": lambda step: 0.9**step}),
            ("OneCycleLR", {"max_lr": 1.0, "total_steps": 60}),
        ],
        [9],
    ),
    "one after another": (
        [("ExponentialLR", {"gamma": 0.5}), ("ExponentialLR", {"gamma": 0.9})],
        [1],
    ),
}


@pytest.mark.parametrize("parts, milestones", SEQUENCES.values(), ids=SEQUENCES)
@pytest.mark.earns("torch.optim.lr_scheduler.SequentialLR")
def test_sequential_schedulers_take_turns(parts, milestones):
    def make(package, opt):
        made = [getattr(package, name)(opt, **o) for name, o in parts]
        return package.SequentialLR(opt, made, milestones)

    check(make)


def test_a_sequence_of_chains():
    def make(package, opt):
        chains = [
            package.ChainedScheduler(
                [
                    package.ExponentialLR(opt, gamma),
                    package.ConstantLR(opt, total_iters=3),
                ]
            )
            for gamma in (0.9, 0.8)
        ]
        return package.ChainedScheduler(chains)

    check(make)


RESUMED = {
    "StepLR": {"step_size": 5},
    "MultiStepLR": {"milestones": [5, 12]},
    "ConstantLR": {"total_iters": 8},
    "LinearLR": {"total_iters": 20},
    "ExponentialLR": {"gamma": 0.9},
    "PolynomialLR": {"total_iters": 30},
    "CosineAnnealingLR": {"T_max": 30, "eta_min": 0.01},
    "LambdaLR": {"lr_lambda": lambda step: 0.9**step},
    "MultiplicativeLR": {"lr_lambda": lambda step: 0.9},
    "OneCycleLR": {"max_lr": 1.0, "total_steps": 60},
    "CyclicLR": {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 5},
}


@pytest.mark.parametrize("last_epoch", [4, 7, 11])
@pytest.mark.parametrize("name, options", RESUMED.items(), ids=RESUMED)
def test_constructed_at_a_later_last_epoch(name, options, last_epoch):
    found = []
    for package in (lr_scheduler, THEIRS):
        kind = getattr(package, name)
        first = Course(package, lambda p, o, k=kind: k(o, **options))
        first.run(last_epoch)
        optimizer = optimizer_of()
        optimizer.load_state_dict(first.optimizer.state_dict())
        resumed = kind(optimizer, **options, last_epoch=last_epoch)
        course = [values(optimizer)]
        for _ in range(20):
            optimizer.step()
            resumed.step()
            course.append(values(optimizer))
        found.append(course)
    for actual, expected in zip(*found, strict=True):
        assert actual == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(
    "name", [n for n in RESUMED if n != "MultiplicativeLR"]
)
def test_a_step_to_a_given_epoch(name):
    found = []
    for package in (lr_scheduler, THEIRS):
        optimizer = optimizer_of()
        scheduler = getattr(package, name)(optimizer, **RESUMED[name])
        course = []
        for epoch in (3, 17, 0, 9):
            scheduler.step(epoch)
            course.append(values(optimizer))
        found.append(course)
    for actual, expected in zip(*found, strict=True):
        assert actual == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_warm_restarts_take_broken_epochs():
    found = []
    for package in (lr_scheduler, THEIRS):
        optimizer = optimizer_of()
        scheduler = package.CosineAnnealingWarmRestarts(optimizer, 3, T_mult=2)
        course = []
        for i in range(100):
            scheduler.step(i / 7)
            course.append(values(optimizer))
        found.append(course)
    for actual, expected in zip(*found, strict=True):
        assert actual == pytest.approx(expected, rel=1e-6)


def test_a_rate_changed_by_hand_stays_changed():
    found = []
    for package in (lr_scheduler, THEIRS):
        course = Course(package, lambda p, o: p.CosineAnnealingLR(o, 50)).run(
            10
        )
        course.optimizer.param_groups[0]["lr"] *= 0.5
        found.append(course.run(30).set)
    for actual, expected in zip(*found, strict=True):
        assert actual == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_a_rate_that_is_a_tensor_changes_in_place():
    lr = torch.tensor(0.5)
    optimizer = torch.optim.Adam([torch.zeros(1)], lr=lr)
    held = optimizer.param_groups[0]["lr"]
    scheduler = lr_scheduler.StepLR(optimizer, 1, 0.5)
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is held
    assert held == 0.25 and scheduler.get_last_lr() == [torch.tensor(0.25)]
    assert scheduler.base_lrs == [torch.tensor(0.5)]


@pytest.mark.earns("torch.optim.lr_scheduler.LRScheduler")
def test_a_subclass_needs_only_get_lr():
    def halving(package):
        class Halving(package.LRScheduler):
            def get_lr(self):
                return [lr / 2**self.last_epoch for lr in self.base_lrs]

        return Halving

    check(lambda package, opt: halving(package)(opt))
    with pytest.raises(NotImplementedError):
        lr_scheduler.LRScheduler(optimizer_of())


NAMES = [
    name
    for name in vars(THEIRS)
    if inspect.isclass(getattr(THEIRS, name))
    and issubclass(getattr(THEIRS, name), THEIRS.LRScheduler)
    and name[0] != "_"
]


@pytest.mark.parametrize("name", NAMES)
def test_arguments_are_torchs(name):
    ours, theirs = (getattr(p, name) for p in (lr_scheduler, THEIRS))
    described = [
        [(p.name, p.default) for p in inspect.signature(c).parameters.values()]
        for c in (ours, theirs)
    ]
    assert described[0] == described[1]


def plain(**options):
    return torch.optim.SGD([torch.zeros(1)], lr=0.1, **options)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda s: s.StepLR(torch.zeros(1), 3), "param_groups|Optimizer"),
        (lambda s: s.ExponentialLR(plain(), 0.9, last_epoch=3), "initial_lr"),
        (lambda s: s.LambdaLR(plain(), [abs, abs]), "2"),
        (lambda s: s.ConstantLR(plain(), factor=1.5), "factor"),
        (lambda s: s.LinearLR(plain(), start_factor=0.0), "factor"),
        (lambda s: s.LinearLR(plain(), end_factor=1.1), "factor"),
        (lambda s: s.OneCycleLR(plain(), 0.1), "steps"),
        (lambda s: s.OneCycleLR(plain(), 0.1, total_steps=-3), "-3"),
        (lambda s: s.OneCycleLR(plain(), 0.1, 9, pct_start=2.0), "2.0"),
        (
            lambda s: s.OneCycleLR(plain(), 0.1, 9, anneal_strategy="sin"),
            "sin|anneal",
        ),
        (
            lambda s: s.OneCycleLR(torch.optim.Adagrad([torch.zeros(1)]), 1, 9),
            "momentum",
        ),
        (lambda s: s.CyclicLR(plain(), 0.1, 1.0, mode="round"), "mode"),
        (lambda s: s.CyclicLR(plain(), [0.1, 0.2], 1.0), "2|base_lr"),
        (lambda s: s.CosineAnnealingWarmRestarts(plain(), 0), "T_0"),
        (lambda s: s.CosineAnnealingWarmRestarts(plain(), 3, 0), "T_mult"),
        (lambda s: s.ReduceLROnPlateau(plain(), factor=1.0), "actor"),
        (lambda s: s.ReduceLROnPlateau(plain(), "least"), "least"),
        (lambda s: s.ReduceLROnPlateau(plain(), min_lr=[0, 0]), "2"),
        (lambda s: s.ChainedScheduler([]), "no scheduler"),
        (
            lambda s: s.ChainedScheduler(
                [s.StepLR(plain(), 1), s.StepLR(plain(), 1)]
            ),
            "optimizer",
        ),
        (
            lambda s: s.SequentialLR(
                o := plain(), [s.StepLR(o, 1), s.StepLR(o, 1)], [1, 2]
            ),
            "2",
        ),
        (
            lambda s: s.SequentialLR(
                o := plain(), [s.ReduceLROnPlateau(o), s.StepLR(o, 1)], [1]
            ),
            "metric|Plateau",
        ),
    ],
)
def test_what_torch_refuses_is_refused(make, message):
    for package in (THEIRS, lr_scheduler):
        with pytest.raises((TypeError, ValueError, KeyError), match=message):
            make(package)


def test_one_cycle_has_an_end():
    scheduler = lr_scheduler.OneCycleLR(plain(), 0.1, total_steps=3)
    for _ in range(3):
        scheduler.step()
    with pytest.raises(ValueError, match="step 4 of 3"):
        scheduler.step()
