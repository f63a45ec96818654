"""The libraries that time_additions.py times: how each of them writes a loop, a sum of vectors and a product."""

from __future__ import annotations

from typing import Any

import numpy as np


class NumPy:
    """What is timed, in the words of each library; the others say where they differ."""

    def __init__(self) -> None:
        self.version = np.__version__

    def array(self, values: np.ndarray) -> Any:
        return values

    def zeros(self, n: int) -> Any:
        return np.zeros(n, dtype=np.float32)

    def loop(self, a: Any, b: Any, c: Any, indices: range) -> Any:
        for i in indices:
            c[i] = a[i] + b[i]
        return c

    def rows(self, X: Any, w: Any, indices: range) -> list[Any]:
        return [X[i] @ w for i in indices]

    def product(self, X: Any, w: Any) -> Any:
        return X @ w

    def finish(self, result: Any) -> Any:
        """Waits for it: JAX and MXNet return before they have computed."""
        return result


class PyTorch(NumPy):
    def __init__(self) -> None:
        import torch

        self.torch, self.version = torch, torch.__version__

    def array(self, values: np.ndarray) -> Any:
        return self.torch.from_numpy(values)

    def zeros(self, n: int) -> Any:
        return self.torch.zeros(n)


class JAX(NumPy):
    def __init__(self) -> None:
        import jax

        self.jax, self.version = jax, jax.__version__

    def array(self, values: np.ndarray) -> Any:
        return self.jax.numpy.asarray(values)

    def zeros(self, n: int) -> Any:
        return self.jax.numpy.zeros(n)

    def loop(self, a: Any, b: Any, c: Any, indices: range) -> Any:
        for i in indices:
            c = c.at[i].set(a[i] + b[i])  # arrays are immutable: each step makes a new one
        return c

    def finish(self, result: Any) -> Any:
        return self.jax.block_until_ready(result)


class TensorFlow(NumPy):
    def __init__(self) -> None:
        import tensorflow

        self.tf, self.version = tensorflow, tensorflow.__version__

    def array(self, values: np.ndarray) -> Any:
        return self.tf.constant(values)

    def zeros(self, n: int) -> Any:
        return self.tf.Variable(self.tf.zeros(n))

    def loop(self, a: Any, b: Any, c: Any, indices: range) -> Any:
        for i in indices:
            c[i].assign(a[i] + b[i])
        return c

    def rows(self, X: Any, w: Any, indices: range) -> list[Any]:
        return [self.tf.tensordot(X[i], w, 1) for i in indices]

    def product(self, X: Any, w: Any) -> Any:
        return self.tf.linalg.matvec(X, w)


class MXNet(NumPy):
    def __init__(self) -> None:
        import mxnet

        mxnet.npx.set_np()
        self.mx, self.version = mxnet, mxnet.__version__

    def array(self, values: np.ndarray) -> Any:
        return self.mx.np.array(values)

    def zeros(self, n: int) -> Any:
        return self.mx.np.zeros(n)

    def rows(self, X: Any, w: Any, indices: range) -> list[Any]:
        return [self.mx.np.dot(X[i], w) for i in indices]

    def finish(self, result: Any) -> Any:
        self.mx.nd.waitall()
        return result


BACKENDS = {"numpy": NumPy, "torch": PyTorch, "jax": JAX, "tensorflow": TensorFlow, "mxnet": MXNet}
