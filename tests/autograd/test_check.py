"""gradcheck says yes and no where torch's does."""

import pytest
import torch

from groundup.autograd import Variable, gradcheck

RIGHT = {
    "product": lambda a, b: a @ b,
    "number": lambda a, b: (a @ b).tanh().sum(),
    "one input unused": lambda a, b: (a * a).mean(0),
    "many axes": lambda a, b: a.unsqueeze(0) * b.reshape(2, 1, 3),
}
WRONG = {
    "cut": lambda a, b: a.detach() * a,
    "second operand cut": lambda a, b: a @ b.detach() + (b * b).sum(),
}


def said_yes(check: object, function: object, inputs: tuple) -> bool:
    try:
        return check(function, inputs)
    except RuntimeError:
        return False


@pytest.mark.earns("torch.autograd.gradcheck")
@pytest.mark.parametrize("name", [*RIGHT, *WRONG])
def test_the_verdict_is_torchs(name: str):
    torch.manual_seed(0)
    data = torch.randn(2, 3).double(), torch.randn(3, 2).double()
    function = (RIGHT | WRONG)[name]
    ours = tuple(Variable(x, requires_grad=True) for x in data)
    theirs = tuple(x.clone().requires_grad_() for x in data)
    expected = said_yes(torch.autograd.gradcheck, function, theirs)
    assert said_yes(gradcheck, function, ours) == expected == (name in RIGHT)


def test_the_error_names_the_input():
    a, b = (Variable(torch.ones(2).double(), requires_grad=True) for _ in "ab")
    with pytest.raises(RuntimeError, match="input 1"):
        gradcheck(lambda a, b: a * b.detach(), (a, b))


def test_single_precision_is_refused():
    with pytest.raises(ValueError, match="float64"):
        gradcheck(lambda x: x, Variable(torch.ones(2), requires_grad=True))


def test_inputs_without_a_gradient_are_refused():
    with pytest.raises(ValueError, match="require"):
        gradcheck(lambda x: x, Variable(torch.ones(2).double()))
