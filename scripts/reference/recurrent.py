"""Recurrent layers as ONNX defines them, by PyTorch's own kernels where they compute the same, else written out."""
import torch
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

# Rows of ONNX's weights in PyTorch's order: i o f c -> i f c o, z r h -> r z h.
ORDERS = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
ACTIVATIONS = {"Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Relu": torch.relu}


def kernel(op, names, outputs, direction="forward", nonlinearity="tanh"):
    """The layer by torch.nn; `names` are the inputs in order, `outputs` those of Y, Y_h, Y_c that are wanted."""

    def run(*tensors):
        given = dict(zip(names, tensors))
        x, w, r = given["X"], given["W"], given["R"]
        directions, _, hidden = r.shape
        both = direction != "forward"
        settings = {"nonlinearity": nonlinearity} if op == "RNN" else {}
        layer = getattr(torch.nn, op)(x.shape[2], hidden, bias="B" in given, bidirectional=both, **settings).to(x.dtype)
        rows = lambda t: torch.cat([t.reshape(len(ORDERS[op]), hidden, *t.shape[1:])[gate] for gate in ORDERS[op]])
        weights = {}
        for at, suffix in enumerate(["", "_reverse"][: 1 + both]):
            # A layer that only goes back is the second half of one that goes both ways.
            source = at if direction == "bidirectional" else 0
            weights[f"weight_ih_l0{suffix}"] = rows(w[source])
            weights[f"weight_hh_l0{suffix}"] = rows(r[source])
            if "B" in given:
                one, two = given["B"][source].chunk(2)
                weights[f"bias_ih_l0{suffix}"], weights[f"bias_hh_l0{suffix}"] = rows(one), rows(two)
        start = lambda name: given.get(name, torch.zeros(directions, x.shape[1], hidden, dtype=x.dtype))
        doubled = lambda s: torch.cat([s, s]) if direction == "reverse" else s
        h, c = doubled(start("initial_h")), doubled(start("initial_c"))
        state = (h, c) if op == "LSTM" else h
        if "sequence_lens" in given:
            packed = pack_padded_sequence(x, given["sequence_lens"].long(), enforce_sorted=False)
            y, state = functional_call(layer, weights, (packed, state))
            y, _ = pad_packed_sequence(y, total_length=x.shape[0])
        else:
            y, state = functional_call(layer, weights, (x, state))
        y = y.reshape(*y.shape[:2], 1 + both, hidden).transpose(1, 2)
        states = state if op == "LSTM" else (state,)
        if direction == "reverse":
            y, states = y[:, 1:], [s[1:] for s in states]
        made = dict(zip(("Y", "Y_h", "Y_c"), (y, *states)))
        return tuple(made[name] for name in outputs)

    return run


def written_out(op, names, outputs, activations, clip=None, linear_before_reset=False):
    """The forward layer by ONNX's formulas."""
    acts = [ACTIVATIONS[name] for name in activations]
    bound = (lambda t: t.clamp(-clip, clip)) if clip else (lambda t: t)

    def run(*tensors):
        given = dict(zip(names, tensors))
        x, w, r = given["X"], given["W"][0], given["R"][0]
        hidden = r.shape[1]
        bias = given["B"][0] if "B" in given else torch.zeros(2 * w.shape[0], dtype=x.dtype)
        bw, br = bias.chunk(2)
        zeros = torch.zeros(x.shape[1], hidden, dtype=x.dtype)
        h = given["initial_h"][0] if "initial_h" in given else zeros
        c = given["initial_c"][0] if "initial_c" in given else zeros
        ys = []
        for xt in x:
            a = xt @ w.T + bw
            if op == "RNN":
                h = acts[0](bound(a + h @ r.T + br))
            elif op == "LSTM":
                i, o, f, u = (a + h @ r.T + br).chunk(4, 1)
                c = acts[0](bound(f)) * c + acts[0](bound(i)) * acts[1](bound(u))
                h = acts[0](bound(o)) * acts[2](c)
            else:
                s = h @ r.T + br
                z, reset = (acts[0](bound(v)) for v in (a + s)[:, : 2 * hidden].chunk(2, 1))
                an, sn = a[:, 2 * hidden :], s[:, 2 * hidden :]
                inner = reset * sn if linear_before_reset else (reset * h) @ r[2 * hidden :].T + br[2 * hidden :]
                h = (1 - z) * acts[1](bound(an + inner)) + z * h
            ys.append(h[None])
        made = {"Y": torch.stack(ys), "Y_h": h[None], "Y_c": c[None]}
        return tuple(made[name] for name in outputs)

    return run
