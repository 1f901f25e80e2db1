import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from groundup.training import Callback, Learner, Progress, Recorder

sys.path.insert(0, str(Path(__file__).parent))
import shown

x = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
batches = list(zip(x.split(6), (x.sum(1) > 0).long().split(6), strict=True))


def shown_in_terminal(forks, stop: int) -> str:
    ours, theirs = pty.openpty()
    process = forks.Process(target=shown.show, args=(os.ttyname(theirs), stop))
    process.start()
    text, both = b"", [ours, process.sentinel]
    while ours in select.select(both, [], [])[0]:
        text += os.read(ours, 4096)
    process.join(100)
    assert process.exitcode == 0
    os.close(theirs)
    os.close(ours)
    return text.decode()


def fit(*callbacks, train=batches, n_epochs=2):
    learn = Learner(
        nn.Linear(4, 2),
        train,
        batches,
        optim=torch.optim.SGD,
        lr=0.1,
        defaults=[Recorder(), Progress(), *callbacks],
    )
    learn.fit(n_epochs)
    return learn


def test_a_file_gets_a_line_an_epoch(capsys):
    fit(n_epochs=3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["epoch", "train_loss", "valid_loss", "time"]
    assert [line.split()[0] for line in lines[1:]] == ["0", "1", "2"]
    assert len({len(line) for line in lines}) == 1


def test_a_loader_without_a_length_will_do(capsys):
    class Endless:
        def __iter__(self):
            return iter(batches)

    fit(train=Endless())
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_it_says_what_it_needs():
    learn = Learner(
        nn.Linear(4, 2),
        batches,
        optim=torch.optim.SGD,
        lr=0.1,
        defaults=[Progress()],
    )
    with pytest.raises(KeyError, match="no Recorder among"):
        learn.fit(1)


def test_it_evaluates_without_a_view(capsys):
    fit(n_epochs=0).evaluate()
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_bars_and_a_table(forks):
    text = shown_in_terminal(forks, stop=-1)
    assert "█" in text and "Epoch 1/2" in text and "[20/20" in text
    lines = [line.split("\r")[-1] for line in re.split("\r?\n", text)]
    rows = [line.split() for line in lines]
    assert rows[-2:] == [["end"], []] or ["end"] in rows
    assert "accuracy" in text
    assert text.count("\r") < 60  # not one a batch: 80 batches were seen


def test_an_interrupted_terminal_is_left_in_order(forks):
    text = shown_in_terminal(forks, stop=25)
    assert "stopped in epoch 1, batch 4" in text and "end" in text


class Fails(Callback):
    def after_step(self, run):
        raise ZeroDivisionError


def test_an_error_closes_the_view():
    learn = fit(n_epochs=0)
    with pytest.raises(ZeroDivisionError):
        learn.fit(1, [Fails()])
    assert learn[Progress].view is None


def test_importing_it_does_not_import_what_draws():
    code = "import groundup.training, sys; print('fastprogress' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert told.stdout.strip() == "False", told.stderr
