"""Convolution as an implicit GEMM: act(conv(x, w) * scale + bias + residual), read once and written once.

    y[n, i, j, k] = act(scale[k] * sum over r, s, c of x[n, i*SH + r*DH - top, j*SW + s*DW - left, c] * w[k, r, s, c]
                        + bias[k] + residual[n, i, j, k])

Rows of the product are pixels of the output, columns its channels, and the sum goes over taps and channels, channels
innermost: so the pixels which neighbouring taps share are read from the L2 cache. Against a convolution and its batch
norm, addition and activation one by one it saves reading and writing the output three times.

Three forms, each a file: conv_tma (stride 1, and 2 on even images), conv_planes (stride 2), conv_pointer (the rest).
Groups are columns of a tile, so they must be large: `widened` makes few large groups of many small ones.
"""

from __future__ import annotations

from types import ModuleType

import torch
from archdsl.kernels import _reference, conv_planes, conv_pointer, conv_tma
from archdsl.kernels._convolution import Convolution, checked
from archdsl.kernels._launch import Config
from torch import Tensor

FORMS: dict[str, ModuleType] = {"tma": conv_tma, "planes": conv_planes, "pointer": conv_pointer}
"""In the order in which they are tried."""

CONFIGS = {name: form.CONFIGS for name, form in FORMS.items()}
"""By form."""


def reference(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    act: str = "none",
    residual: Tensor | None = None,
) -> Tensor:
    """The definition; see `conv`."""
    y = _reference.conv(x, weight, stride, padding, dilation, groups)
    return _reference.finished(y, scale, bias, residual, act)


def conv(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    act: str = "none",
    residual: Tensor | None = None,
    out: Tensor | None = None,
    precision: str = "ieee",
    form: str | None = None,
    config: Config | None = None,
) -> Tensor:
    """act(conv(x, weight) * scale + bias + residual), images [N, OH, OW, K], into `out` or new ones.

    x         images [N, H, W, C]; residual and out [N, OH, OW, K]; each may be a slice of channels.
    weight    [K, R, S, C / groups], dense, of x's dtype. scale, bias: [K] of fp32, or None for 1 and 0.
    padding   rows above and below, columns left and right, of zeros.
    precision of fp32: "ieee", or "tf32" on the tensor cores.
    form      "tma", "planes" or "pointer"; None: the first that can do it.
    config    None: from the form's table, by rule.

    Raises ValueError where the arguments don't fit together, or a form that was asked for can't do it.
    """
    call = checked(x, weight, scale, bias, stride, padding, dilation, groups, act, residual, out, precision)
    if form is None:
        form = next(name for name in FORMS if refusal(call, name, config) is None)
    elif form not in FORMS:
        raise ValueError(f"no form is called {form!r}; there are {', '.join(FORMS)}")
    elif reason := refusal(call, form, config):
        raise ValueError(f"the form {form!r} can't do this convolution: {reason}")
    FORMS[form].run(call, config or FORMS[form].choose(call))
    return call.out


def refusal(call: Convolution, form: str, config: Config | None = None) -> str | None:
    """Why the form can't do it, or None."""
    return FORMS[form].refuses(call, config or FORMS[form].choose(call))


def widened(weight: Tensor, groups: int, least: int = 32) -> tuple[Tensor, int]:
    """The same grouped convolution with fewer groups, of at least `least` channels in and out where there are so
    many: weights [K, R, S, C / groups'] with zeros between what belonged to different groups, and groups'.

    Multiplying by the zeros costs nothing where memory is what is waited for, and small groups can't fill a tile.
    """
    k, r, s, c = weight.shape
    joined = next(
        (j for j in range(1, groups + 1) if groups % j == 0 and j * min(c, k // groups) >= least), groups
    )
    wide = torch.zeros(
        (groups // joined, joined, k // groups, r, s, joined, c), dtype=weight.dtype, device=weight.device
    )
    apart = weight.view(groups // joined, joined, k // groups, r, s, c)
    for j in range(joined):
        wide[:, j, :, :, :, j] = apart[:, j]
    return wide.view(k, r, s, joined * c), groups // joined
