# Extracted from book/4_convnets/8_fast.py; edit it there.
"""Muon for kernels, which it sees as matrices."""

from typing import Any

from torch import Tensor

from groundup.optim.muon import Muon, adjusted_lr, muon_step, newton_schulz


class KernelMuon(Muon):
    """Muon for kernels (c_out, c_in, ...): a row for each output channel."""

    def check(self, group: dict[str, Any]) -> None:
        """As for matrices; vectors are refused."""
        rows = [param.detach().flatten(1) for param in group["params"]]
        super().check(group | {"params": rows})

    def update(
        self, param: Tensor, grad: Tensor, state: dict, group: dict
    ) -> None:
        """Decay, then one step of `muon_step` on the rows."""
        lr, shape = float(group["lr"]), (len(param), param[0].numel())
        names = "ns_coefficients", "ns_steps", "eps"
        options = [group[name] for name in names]

        def orthogonal(update: Tensor) -> Tensor:
            rows = newton_schulz(update.reshape(shape), *options)
            return rows.reshape(update.shape)

        param.mul_(1 - lr * group["weight_decay"])
        rate = adjusted_lr(lr, shape, group["adjust_lr_fn"])
        rule = group["momentum"], group["nesterov"], orthogonal
        muon_step(param, grad, state, rate, *rule)
