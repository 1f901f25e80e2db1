# Extracted from book/3_training/13_inside.py; edit it there.
"""The gallery's checks of a learner, in one call."""

import copy
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from groundup.data.collate import map_batch, to_device
from groundup.inside.data_checks import (
    check_labels,
    check_overlap,
    check_scale,
    check_shuffled,
)
from groundup.inside.loss_checks import check_loss, check_scores
from groundup.inside.model_checks import (
    call_model,
    check_activations,
    check_nonlinear,
)
from groundup.inside.repeat_checks import (
    check_fresh,
    check_repeats,
    check_rows,
    first_rows,
)
from groundup.inside.step_checks import (
    check_gradients,
    check_parameters,
    check_step_size,
)
from groundup.training.callback import Run
from groundup.training.learner import Learner


def _trial(learn: Learner, batch: Any) -> Learner:
    """A copy that trains a copy of the model, on one batch."""
    current = Run.__annotations__.keys() - {"model", "optimizer"}
    shared = [v for name, v in vars(learn).items() if name in current]
    shared += [learn.callbacks, *learn.callbacks]
    trial = copy.deepcopy(learn, {id(each): each for each in shared})
    trial.callbacks = [each for each in learn.callbacks if each.shapes_step]
    trial.train, trial.valid = [batch], None
    return trial


def _examine_step(learn: Learner, batch: Any) -> dict[str, str | None]:
    """A whole step, by the learner's own loop."""
    trial = _trial(learn, batch)
    one_step = partial(trial.fit, 1)
    found = {"step size": check_step_size(trial.model, one_step)}
    # now the batch is the current one, and `train_step` goes on with it
    return found | {"fresh": check_fresh(trial.model, trial.train_step)}


def _leaves(batch: Any) -> list[Tensor]:
    """The tensors of a batch, however they are nested."""
    found: list[Tensor] = []
    map_batch(lambda t: found.append(t) if isinstance(t, Tensor) else t, batch)
    return found


def _batch_size(batch: Any) -> int | None:
    """Rows of a batch: those of its first tensor with an axis."""
    lengths = [len(each) for each in _leaves(batch) if each.ndim]
    return lengths[0] if lengths else None


def _are_labels(target: Any) -> bool:
    """One class number for each row."""
    kinds = torch.uint8, torch.int16, torch.int32, torch.int64
    return (
        isinstance(target, Tensor)
        and target.ndim == 1
        and target.dtype in kinds
        and bool(target.numel() and target.min() >= 0)
    )


def _examine_model(learn: Learner, input: Any) -> dict[str, str | None]:
    """The model's modules, and its answers for rows of any kind."""
    model = _trial(learn, None).model.eval()
    answer = partial(call_model, model)
    found = {
        "activations": check_activations(model, input),
        "nonlinear": check_nonlinear(model, input),
    }
    with torch.no_grad():
        output = answer(input)
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return found
    found["repeats"] = check_repeats(answer, input)
    if output.shape[:1] == (_batch_size(input),):
        found["rows"] = check_rows(answer, input)
    return found


def _examine_loss(
    learn: Learner, input: Any, target: Any, weighed: bool
) -> dict[str, str | None]:
    """The loss, its graph and the gradients, in training mode."""
    trial = _trial(learn, None)
    output = call_model(trial.model.train(), input)
    loss = trial.loss_function(output, target)
    loss = loss[0] if isinstance(loss, tuple) else loss
    groups = trial.optimizer.param_groups
    params = [param for group in groups for param in group["params"]]
    found = {"parameters": check_parameters(loss, params)}
    if loss.requires_grad:
        trial.backward(loss)
        named = trial.model.named_parameters()
        found["gradients"] = check_gradients(named)
    if isinstance(output, Tensor) and not weighed:
        found |= _examine_scores(trial, output.detach(), target)
    return found


@torch.no_grad()
def _examine_scores(
    learn: Learner, output: Tensor, target: Any
) -> dict[str, str | None]:
    """What goes into the loss, and whether it keeps rows apart."""
    found, count = {}, learn.count_items
    if _batch_size(target) in (None, len(output)):
        found["loss"] = check_loss(learn.loss_function, output, target, count)
    if _are_labels(target) and output.ndim == 2:
        losses = [learn.loss_function(output + c, target) for c in (0.0, 1.0)]
        plain, shifted = (
            (each[0] if isinstance(each, tuple) else each).item()
            for each in losses
        )
        if abs(plain - shifted) <= 1e-3 * (1e-3 + abs(plain)):
            found["scores"] = check_scores(output)
    return found


def _rows(inputs: Iterable[Any]) -> Tensor | None:
    """Batches as one matrix of rows, if all have one width."""
    rows = []
    for each in inputs:
        n, leaves = _batch_size(each), _leaves(each)
        if not n or any(len(leaf) != n for leaf in leaves if leaf.ndim):
            return None
        parts = [leaf.detach().cpu().reshape(n, -1) for leaf in leaves]
        rows.append(torch.cat([part.double() for part in parts], 1))
    same = len({each.shape[1] for each in rows}) == 1
    return torch.cat(rows) if same else None


def _examine_data(
    train: list[tuple], valid: list[tuple]
) -> dict[str, str | None]:
    """Training and validation data, as far as their kinds allow."""
    found: dict[str, str | None] = {}
    rows, valid_rows = (_rows(x for x, _ in each) for each in (train, valid))
    continuous = all(
        leaf.is_floating_point() for x, _ in train for leaf in _leaves(x)
    )
    labels = [target for _, target in train]
    if all(map(_are_labels, labels)):
        found["shuffled"] = check_shuffled(labels)
        joined = torch.cat(labels).cpu()
        enough = len(joined) >= 20 * len(joined.unique()) > 20
        if rows is not None and continuous and enough:
            found["labels"] = check_labels(rows, joined)
    if rows is not None and valid_rows is not None:
        found["overlap"] = check_overlap(rows, valid_rows)
        if continuous:
            found["scale"] = check_scale(rows, valid_rows)
    return found


def examine(learn: Learner, n_batches: int = 50) -> dict[str, str | None]:
    """All checks that apply, by name: what is wrong, or None.

    For a learner that is about to be trained, which it leaves as it was; the
    loaders give up to `n_batches` batches each. A model that begins at zero on
    purpose is reported, as are losses that sum, or that compare rows.

    >>> assert not any(examine(learn).values())  # doctest: +SKIP
    """
    with torch.random.fork_rng():
        raw = list(islice(learn.train, n_batches))
        train = list(_unpacked(learn, raw))
        valid = list(_unpacked(learn, islice(learn.valid or (), n_batches)))
        pairs, valid_pairs = ([each[:2] for each in b] for b in (train, valid))
        input, target, *count = train[0]
        found = _examine_data(pairs, valid_pairs)
        if type(learn).train_step is Learner.train_step:
            found |= _examine_model(learn, first_rows(input, 64))
            found |= _examine_loss(learn, input, target, bool(count))
        return found | _examine_step(learn, raw[0])


def _unpacked(learn: Learner, batches: Iterable) -> Iterator[tuple]:
    """Input, target and perhaps a count of each batch, where the model is."""
    params = list(learn.model.parameters())
    for batch in batches:
        here = to_device(batch, params[0].device) if params else batch
        yield learn.unpack(here)
