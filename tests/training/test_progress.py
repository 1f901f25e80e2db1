import os
import pty
import re
import subprocess
import sys

import pytest
import torch
from torch import nn

from groundup.training import Callback, Learner, Progress, Recorder

x = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
batches = list(zip(x.split(6), (x.sum(1) > 0).long().split(6), strict=True))

SCRIPT = """
import torch
from torch import nn
from groundup.training import Learner, Accuracy, Callback
class Stop(Callback):
    def after_step(self, run):
        if run.step == {stop}:
            raise KeyboardInterrupt
x = torch.randn(120, 4)
batches = list(zip(x.split(6), (x.sum(1) > 0).long().split(6)))
learn = Learner(nn.Linear(4, 2), batches, batches, optim=torch.optim.SGD, lr=.1,
                metrics=[Accuracy()], callbacks=[Stop()])
try:
    learn.fit(2)
except KeyboardInterrupt as error:
    print(error)
print("end")
"""


def shown_in_terminal(stop: int) -> str:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", SCRIPT.format(stop=stop)]
    process = subprocess.Popen(command, stdout=theirs, close_fds=True)
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the terminal is closed
            break
        if not part:
            break
        text += part
    assert process.wait(100) == 0
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


def test_a_terminal_gets_bars_and_a_table():
    text = shown_in_terminal(stop=-1)
    assert "█" in text and "Epoch 1/2" in text and "[20/20" in text
    lines = [line.split("\r")[-1] for line in re.split("\r?\n", text)]
    rows = [line.split() for line in lines]
    assert rows[-2:] == [["end"], []] or ["end"] in rows
    assert "accuracy" in text
    assert text.count("\r") < 60  # not one a batch: 80 batches were seen


def test_an_interrupted_terminal_is_left_in_order():
    text = shown_in_terminal(stop=25)
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
