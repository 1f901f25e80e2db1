import pytest
import torch

from groundup.training.batch import predict, unpack

x, y = torch.ones(2, 3), torch.zeros(2)


@pytest.mark.parametrize(
    ("batch", "input", "target"),
    [
        ((x, y), x, y),
        ([x, y], x, y),
        ([x], x, None),
        (((x, x), y), (x, x), y),
        (({"a": x}, {"b": y}), {"a": x}, {"b": y}),
        ({"a": x, "b": x}, {"a": x, "b": x}, None),
        (x, x, None),  # two rows are no pair
    ],
)
def test_a_pair_is_input_and_target_and_all_else_is_input(batch, input, target):
    found = unpack(batch)
    assert found[0] is input or found[0] == input
    assert found[1] is target or found[1] == target


def test_more_than_two_parts_are_not_guessed():
    with pytest.raises(
        ValueError, match="a batch of 3 parts.*Override `unpack"
    ):
        unpack((x, x, y))


def test_tuples_and_dictionaries_are_the_models_arguments():
    def model(a, b):
        return a - b

    assert predict(model, (3 * x, x)).equal(2 * x)
    assert predict(model, [3 * x, x]).equal(2 * x)
    assert predict(model, {"b": x, "a": 3 * x}).equal(2 * x)
    assert predict(len, "text") == 4 and predict(len, x) == 2
