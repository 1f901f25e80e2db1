"""Programs that people write, run as they stand, and what they learned."""

import csv
import functools
import runpy
from pathlib import Path

import pytest
import sklearn.linear_model
import sklearn.metrics
import torch

from groundup.training import Recorder, read_checkpoint


@functools.cache
def run(name):
    return runpy.run_path(str(Path(__file__).with_name(f"{name}.py")))


@pytest.fixture
def program(request, capsys):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield run(request.param)
    torch.set_num_threads(before)


NAMES = ["table", "two_inputs", "gan", "language", "thaw"]


@pytest.mark.parametrize("program", NAMES, indirect=True)
def test_nothing_is_found_wrong_before_it_trains(program):
    wrong = {name: said for name, said in program["found"].items() if said}
    assert program["found"] and not wrong


def of(name):
    return pytest.mark.parametrize("program", [name], indirect=True)


@of("table")
def test_a_table_is_predicted_no_worse_than_by_a_line(program):
    predicted, told = program["predicted"], program["told"]
    ours = sklearn.metrics.r2_score(told, predicted)
    data = program["Patients"]
    train, valid = data(slice(0, 342)), data(slice(342, None))
    line = sklearn.linear_model.LinearRegression().fit(train.x, train.y)
    line = sklearn.metrics.r2_score(valid.y, line.predict(valid.x))
    assert ours > 0.4 and ours > line - 0.03
    results, learn = program["results"], program["learn"]
    assert results["explained"] == pytest.approx(ours, abs=1e-4)
    rows = learn[Recorder].rows
    assert len(rows) < 100  # it stopped
    best = min(row["valid_loss"] for row in rows)
    assert results["loss"] == pytest.approx(best)  # and the best was loaded
    with open(program["log"]) as file:
        written = list(csv.DictReader(file))
    assert [float(row["explained"]) for row in written] == [
        row["explained"] for row in rows
    ]


@of("two_inputs")
def test_two_inputs_in_a_dictionary_are_compared(program):
    learn = program["learn"]
    scores, larger = learn.predict(learn.valid, with_targets=True)
    right = sklearn.metrics.accuracy_score(larger, scores > 0)
    assert right == pytest.approx(learn.results["accuracy"])
    f1 = sklearn.metrics.f1_score(larger, scores > 0)
    assert f1 == pytest.approx(learn.results["f1"])
    base = max(larger.mean().item(), 1 - larger.mean().item())
    assert right > 0.8 > base + 0.2


@of("gan")
def test_two_networks_step_in_turn_and_both_are_saved(program):
    points, learn = program["points"], program["learn"]
    radius = points.norm(dim=1)
    assert radius.mean().item() == pytest.approx(2, abs=0.2)
    assert radius.std().item() < 0.4
    quarters = (points > 0).long() @ torch.tensor([1, 2])
    assert quarters.bincount(minlength=4).min() > 2000 / 4 / 3  # all around
    assert learn.step == 2 * 12 * 64
    assert len(learn[Recorder].losses) == 12 * 64
    newest = max(Path(program["folder"]).iterdir())
    saved = read_checkpoint(newest)["optimizer"]["optimizers"]
    steps = [each["state"][0]["step"] for each in saved]
    assert [float(step) for step in steps] == [12 * 64, 12 * 64]


@of("language")
def test_letters_are_predicted_far_better_than_by_their_share(program):
    learn = program["learn"]
    batches = [target for _, target in learn.valid]
    labels = torch.cat([batch[batch != -100] for batch in batches])
    share = labels.bincount(minlength=28).double() / len(labels)
    unigram = -(share[labels].log()).mean().item()
    assert learn.results["loss"] < unigram / 4
    total, right = 0.0, 0
    model = learn.model.eval()
    for letters, target in learn.valid:  # by hand, over all that count
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            scores = model(letters).float()
        kept = target != -100
        loss = torch.nn.functional.cross_entropy(
            scores, target, reduction="sum"
        )
        total += loss.item()
        right += (scores.argmax(1) == target)[kept].sum().item()
    assert learn.results["loss"] == pytest.approx(total / len(labels), rel=2e-3)
    assert learn.results["accuracy"] == pytest.approx(right / len(labels))
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert learn.step == 5 * 25 and len(learn[Recorder].losses) == 5 * 50


@of("thaw")
def test_a_pretrained_body_beats_a_start_from_scratch(program):
    frozen, thawed = program["frozen"], program["learn"].results
    scratch = program["scratch"].results
    assert frozen["accuracy"] > scratch["accuracy"] + 0.03
    assert thawed["accuracy"] > scratch["accuracy"] + 0.03
    groups = program["learn"].optimizer.param_groups
    assert [group["lr"] for group in groups] == [0.001, 0.02]
