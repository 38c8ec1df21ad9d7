"""The network: a person's object, with three verbs: feedforward, backward, train.

It holds the parameters and knows where they live. What is computed stands in the rooms above it, as
pure functions.
"""

import warnings
from collections.abc import Sequence
from os import PathLike
from typing import Any, Self

import numpy as np

from chainrule import backends
from chainrule.backends import Backend
from chainrule.data import inputs, targets
from chainrule.inspection import Inspection
from chainrule.mathematics.activations import Activation
from chainrule.mathematics.architecture import architecture, at_least
from chainrule.mathematics.arrays import Array, namespace, record_like
from chainrule.mathematics.initializers import Initializer, draw
from chainrule.mathematics.layers import Dense, DenseCache
from chainrule.mathematics.losses import Loss
from chainrule.mathematics.optimizers import Optimizer, State, sgd
from chainrule.mathematics.optimizers import optimizer as named_optimizer
from chainrule.mathematics.schedules import Schedule, schedule
from chainrule.mathematics.step import Batch, Forward, Progress, forward, step
from chainrule.textbook import TextbookNames
from chainrule.training.batches import Chance, held_out
from chainrule.training.display import display
from chainrule.training.evaluation import Score, outputs, score
from chainrule.training.history import History
from chainrule.training.loop import Callback, Problem, Settings, fit
from chainrule.training.memory import Demand

Data = tuple[Any, Any] | tuple[Any, Any, Any]
Rule = tuple[str, dict[str, Any]]  # an optimizer by its name and its settings


class NeuralNetwork(Inspection, TextbookNames):
    """A dense network of any depth, trained by the chain rule written out by hand.

    Parameters
    ----------
    input_size, output_size
        Features in, outputs out.
    hidden_size
        One width, or a sequence of them; ``()`` for none.
    activation
        Of the hidden layers: a name, an ``Activation``, or one for each.
    output_activation
        Of the last layer; unless given, the loss says: sigmoid for ``squared_error``, else identity.
    loss
        "squared_error" (half the sum over the batch), "mean_squared_error", "half_squared_error" (of a
        sample, the mean over samples), "binary_cross_entropy", "cross_entropy" (both on logits), or a ``Loss``.
    initializer
        "standard_normal", "glorot_uniform", "he_normal", or a function; unless given, by activation.
    dropout
        The probability of dropping each hidden unit in training.
    weight_decay
        The lambda of the penalty ``lambda/2 sum W²``.
    clip_norm
        The largest norm of the whole gradient; longer ones are scaled down to it.
    backend
        A name ("numpy", "cupy:0", "torch:cuda", "jax"), an Array API namespace, or ``None``:
        ``CHAINRULE_BACKEND`` decides, else the first arrays given. "auto": what was measured fastest here
        (``chainrule bench recommend``) for this network and its first batch, unless those arrays are on a
        device; the choice is logged.
    dtype
        "float32" or "float64"; unless given, the widest that the backend computes in. "float16" or
        "bfloat16": training multiplies in 16 bits, under float32 weights (:mod:`chainrule.mathematics.precision`).
    seed
        Equal seeds give equal starts, batches and dropout masks on every backend. ``None`` draws from
        NumPy's global state, as ``numpy.random.seed`` left it.

    Attributes
    ----------
    architecture
        Sizes, activations, loss, and what the step adds.
    metadata
        JSON-able facts that travel with the saved model (labels, a scaler, ...).

    Raises
    ------
    ValueError, TypeError
        If a name is unknown or a number outside its range.
    chainrule.backends.BackendUnavailableError
        If the backend cannot be used here.

    Examples
    --------
    >>> net = NeuralNetwork(input_size=2, hidden_size=4, output_size=1, seed=1)
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
    >>> history = net.train(X, y, epochs=8000, learning_rate=0.5, progress=False)
    >>> net.feedforward(X).round()
    array([[0.],
           [1.],
           [1.],
           [0.]])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        output_size: int,
        *,
        activation: str | Activation | Sequence[str | Activation] = "sigmoid",
        output_activation: str | Activation | None = None,
        loss: str | Loss = "squared_error",
        initializer: str | Initializer | None = None,
        dropout: float = 0.0,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        backend: Any = None,
        dtype: str | None = None,
        seed: int | None = None,
    ) -> None:
        self._asked_dtype, compute = inputs.precision(dtype)
        self.architecture = architecture(
            (input_size, hidden_size, output_size),
            activation,
            output_activation,
            loss,
            dropout=dropout,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            compute=compute,
        )
        self.metadata: dict[str, Any] = {}
        self._backend: Backend | None = None
        self._forward: Forward | None = None
        self._kept: tuple[Rule, State] | None = None  # what the optimizer goes on from, and whose it is
        seed = None if seed is None else at_least(0, "seed", seed)
        chosen, self._is_auto = backends.get(backend), backends.is_auto(backend)
        # On the host, in float64, until the network has a backend.
        self._theta: Array = draw(self.architecture, initializer, seed)  # (P,)
        self._chance = Chance(seed)
        if chosen is not None:
            self._place(chosen)

    # -- the three verbs -------------------------------------------------------------------------

    def feedforward(self, X: Any) -> Array:
        """Return the outputs ``A (n, output_size)`` of the last layer, and keep every layer's to read.

        With a loss on logits these are the logits; :meth:`predict` returns probabilities.

        Raises
        ------
        ValueError, TypeError
            If X is not ``(n, input_size)`` finite real numbers, on the host or where the network is.
        """
        X = self._features(X)
        with self.backend.quiet():
            self._forward = forward(self._theta, X, self.architecture)
        return self._forward.A

    def backward(self, X: Any, y: Any, learning_rate: float = 0.1) -> None:
        """Take one step of gradient descent on all of ``X (n, input_size)`` and ``y``.

        ``W <- W - learning_rate dL_dW``, likewise b. It goes forward itself, with the weights as they
        are, so it needs no :meth:`feedforward` before it.

        Raises
        ------
        ValueError, TypeError
            As :meth:`train`.
        """
        data = self._data(X, y)
        rate = self.backend.asarray(schedule(learning_rate)(0.0, 1), self.dtype)  # ()
        key = self.backend.asarray(self._chance.keys(1)[0]) if self.architecture.dropout else None
        with self.backend.quiet():
            start = Progress(self._theta, ())
            self._theta = step(start, data, rate, key, self.architecture, sgd())[0].theta

    def train(
        self,
        X: Any,
        y: Any,
        epochs: int,
        learning_rate: float | Schedule = 0.1,
        *,
        batch_size: int | None = None,
        optimizer: str | Optimizer = "sgd",
        sample_weight: Any = None,
        validation_data: Data | None = None,
        validation_fraction: float | None = None,
        early_stopping: int | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool | None = None,
        print_every: int = 4000,
        compile: bool = True,
        threads: int | None = None,
        tune: bool | None = None,
        resume: bool = False,
    ) -> History:
        """Train on ``X (n, input_size)`` and ``y``, and return the history.

        Parameters
        ----------
        X, y
            The samples and their targets: ``(n, output_size)``, or for ``cross_entropy`` labels
            ``(n,)`` from 0. They are not modified.
        epochs
            How many times to go over all rows.
        learning_rate
            A number, or a schedule from :mod:`chainrule.mathematics.schedules`.
        batch_size
            Rows a step, drawn in another order each epoch; ``None`` takes all rows in every step.
        optimizer
            "sgd", "momentum", "nesterov", "adam", "adamw", or an ``Optimizer``; it starts afresh unless
            told to ``resume``.
        sample_weight
            ``(n,)``: multiplies each sample's loss.
        validation_data, validation_fraction
            Held-out data ``(X, y)`` or ``(X, y, sample_weight)``, or the share of the rows to hold out,
            drawn from the seed.
        early_stopping
            Epochs without a better loss (on the held-out data where there are any) before training
            stops; the best weights seen are restored.
        callbacks
            Each is called with every epoch's ``Record``; one that returns ``True`` ends training.
        progress
            ``True``: a bar on a terminal, plain lines elsewhere. ``False``: nothing. ``None``: a line
            ``Epoch 0, Loss:0.26`` every ``print_every`` epochs.
        compile
            ``False`` runs the step as it is written, on any backend.
        threads
            How many to use on the CPU; unless given, ``CHAINRULE_THREADS`` says, else one a core.
        tune
            Deprecated: it does nothing, and will be removed.
        resume
            ``True`` keeps the optimizer's arrays (Adam's moments) after training, and starts from those that a
            run before it kept, where its optimizer was the same.

        Raises
        ------
        ValueError, TypeError
            If an argument is not what is said here; nothing is trained then.
        MemoryError
            If a step does not fit into memory; it says which batch size would.
        FloatingPointError
            If the loss stops being finite; the last finite weights are kept.

        Examples
        --------
        >>> net = NeuralNetwork(1, 8, 1, activation="tanh", loss="mean_squared_error", seed=0)
        >>> X = [[0.0], [0.5], [1.0]]
        >>> net.train(X, [[0.0], [0.25], [1.0]], epochs=400, learning_rate=0.2, progress=False)
        History(400 epochs, last mean squared error 0.00494477)
        """
        if tune is not None:
            msg = "train(tune=...) does nothing any more; remove it"
            warnings.warn(msg, FutureWarning, stacklevel=2)
        settings = Settings(
            epochs=at_least(1, "epochs", epochs),
            batch_size=None if batch_size is None else at_least(1, "batch_size", batch_size),
            schedule=schedule(learning_rate),
            optimizer=named_optimizer(optimizer),
            patience=None if early_stopping is None else at_least(1, "early_stopping", early_stopping),
            callbacks=tuple(callbacks),
            compiled=compile,
            threads=threads,
        )
        self._choose(X, settings.batch_size, settings.optimizer)
        data = self._data(X, y, sample_weight, door=self._wide_door(X))
        data, validation = self._held_out(data, validation_data, validation_fraction)
        shown = display(progress, settings.epochs, at_least(1, "print_every", print_every))
        rows = min(settings.batch_size or data.X.shape[0], data.X.shape[0])
        streamed = self.backend.streams(data.X)
        Demand(self.architecture, settings.optimizer, self.dtype, self.backend, streamed).check(rows)
        problem = Problem(self.architecture, self.backend, data, validation)
        rule = settings.optimizer.name, dict(settings.optimizer.settings)
        before = self._kept[1] if resume and self._kept and self._kept[0] == rule else None
        outcome = fit(self._theta, problem, settings, self._chance, shown, before)
        self._theta, self._forward = outcome.theta, None
        self._kept = (rule, outcome.state) if resume and outcome.state is not None else None
        if outcome.error is not None:
            raise outcome.error
        return outcome.history

    # -- what it says ----------------------------------------------------------------------------

    def predict(self, X: Any) -> Array:
        """Return predictions ``(n, output_size)``: probabilities where the loss is on logits.

        Any number of rows does: they go through a block at a time.
        """
        X = self._features(X, self._wide_door(X))
        with self.backend.quiet():
            return self.architecture.loss.link(outputs(self._theta, X, self.architecture, self.backend))

    def predict_classes(self, X: Any) -> Array:
        """Return the most likely class of each row ``(n,)``, integers; with one output, 0 or 1."""
        P = self.predict(X)  # (n, n_out)
        xp = namespace(P)
        if P.shape[-1] > 1:
            return xp.argmax(P, axis=-1)  # (n,)
        return xp.astype(xp.reshape(P, (-1,)) > 0.5, xp.int64)  # (n,)

    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> Score:
        """Return the loss, on the scale that training reports, and the accuracy where there are classes.

        Weights count in the loss; in the accuracy every sample counts the same.
        """
        data = self._data(X, y, sample_weight, door=self._wide_door(X))
        with self.backend.quiet():
            return score(self._theta, data, self.architecture, self.backend)

    # -- its parameters --------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[Dense, ...]:
        """The parameters of each layer, ``W (n_in, n_out)`` and ``b (1, n_out)``."""
        return self.architecture.layout.split(self._theta)

    def set_layer(self, number: int, *, W: Any = None, b: Any = None) -> None:
        """Put other parameters into layer ``number`` (from 0; -1 is the last).

        Raises
        ------
        ValueError, TypeError
            If an array is not of the layer's shape, not finite, or on another device.
        IndexError
            If there is no such layer.
        """
        depth = self.architecture.depth
        if not -depth <= number < depth:
            msg = f"the network has {depth} layers; there is no layer {number}"
            raise IndexError(msg)
        self._follow(W if b is None else b)
        door = self._door  # places the network: the layers are read after that, in its dtype
        old = self.layers[number]
        parts = [
            kept if new is None else inputs.parameter(new, tuple(kept.shape), name, door)
            for new, kept, name in ((W, old.W, "W"), (b, old.b, "b"))
        ]
        layers = list(self.layers)
        layers[number] = Dense(*parts)
        self._theta, self._forward = self.architecture.layout.join(layers), None

    def cache(self, number: int) -> DenseCache:
        """Return what the last :meth:`feedforward` left of layer ``number``: ``X``, ``Z``, ``A``.

        Raises
        ------
        AttributeError
            If there is nothing to read, or no such layer.
        """
        if self._forward is None:
            msg = "nothing to read yet: call feedforward(X) first (training does not keep its arrays)"
            raise AttributeError(msg)
        if not -len(self._forward.caches) <= number < len(self._forward.caches):
            msg = f"the network has {len(self._forward.caches)} layers; there is no layer {number}"
            raise AttributeError(msg)
        return self._forward.caches[number]

    # -- where it lives --------------------------------------------------------------------------

    @property
    def backend(self) -> Backend:
        """Where the network lives: as it was told, or where its first arrays were; else NumPy."""
        if self._backend is None:
            return self._place(backends.named("numpy"))
        return self._backend

    @property
    def dtype(self) -> str:
        """The dtype of the parameters, and of everything computed but what training does in 16 bits."""
        return self._asked_dtype or self.backend.default_dtype

    def _place(self, backend: Backend) -> Backend:
        dtype = self._asked_dtype or backend.default_dtype
        backend.check_dtype(self.architecture.compute or dtype)
        self._theta = backend.copy(backend.asarray(self._theta, dtype))
        self._backend = backend
        return backend

    def _follow(self, X: Any) -> None:
        if self._backend is None and inputs.is_device_array(X):
            self._place(backends.of(X))

    def _choose(self, X: Any, batch_size: int | None = None, optimizer: Optimizer | None = None) -> None:
        self._follow(X)
        if self._backend is None and self._is_auto:
            from chainrule.backends import speed_map

            rows = min(batch_size or inputs.count(X), inputs.count(X))
            self._place(speed_map.pick(self.architecture, optimizer or sgd(), rows, self._asked_dtype))

    # -- saving ----------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        # For pickle and copy: the parameters on the host, without what the last feedforward left.
        state = self.__dict__ | {"_forward": None}
        if self._backend is not None:
            host = self._backend.to_numpy
            state["_theta"] = host(self._theta)  # (P,)
            state["_kept"] = self._kept and (
                self._kept[0],
                record_like(self._kept[1], map(host, self._kept[1])),
            )
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        if self._backend is not None:
            backend = self._place(self._backend)
            if self._kept is not None:
                rule, arrays = self._kept
                moved = (backend.copy(backend.asarray(a, self.dtype)) for a in arrays)
                self._kept = rule, record_like(arrays, moved)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the parameters, the architecture and the metadata to a safetensors file.

        The parameters are written as host arrays, so the file loads on any backend.

        Raises
        ------
        ValueError
            If an activation or the loss is one of your own: a file holds no code, only names.
        """
        from chainrule.saving import models

        theta = self.backend.to_numpy(self._theta)
        dtype = self.architecture.compute or self.dtype
        models.write(path, theta, self.architecture, dtype, self.metadata)

    @classmethod
    def load(cls, path: str | PathLike[str], backend: Any = None, dtype: str | None = None) -> Self:
        """Return the network that :meth:`save` wrote, in its own dtype unless given.

        Its backend is chosen as a new network's is.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is not a model of this package, or its arrays do not fit together.
        """
        from chainrule.saving import models

        saved = models.read(path)
        net = cls(**saved.arguments, backend=backend, dtype=dtype or saved.dtype, seed=0)
        net.metadata, net._theta = saved.metadata, saved.theta
        if net._backend is not None:
            net._place(net._backend)
        return net

    # -- what comes in ---------------------------------------------------------------------------

    def _features(self, X: Any, door: inputs.Door | None = None) -> Array:
        self._choose(X)
        with self.backend.quiet():
            return inputs.features(X, self.architecture.sizes[0], door or self._door)

    def _data(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        finite: bool = True,
        door: inputs.Door | None = None,
    ) -> Batch:
        self._choose(X)
        with self.backend.quiet():
            door = (door or self._door)._replace(finite=finite)
            return targets.batch((X, y, sample_weight), self.architecture, door)

    @property
    def _door(self) -> inputs.Door:
        return inputs.Door(self.backend, self.dtype)

    def _wide_door(self, X: Any) -> inputs.Door:
        """Return the door for what goes through in batches: host data may stay there, where there is more room."""
        self._choose(X)
        if inputs.is_device_array(X):
            return self._door
        columns = self.architecture.sizes[0] + self.architecture.sizes[-1] + 1
        nbytes = inputs.count(X) * columns * np.dtype(self.dtype).itemsize
        return self._door._replace(backend=self.backend.holder(nbytes))

    def _held_out(
        self, data: Batch, validation_data: Data | None, fraction: float | None
    ) -> tuple[Batch, Batch | None]:
        if validation_data is None:
            return (
                (data, None)
                if fraction is None
                else held_out(data, fraction, self._chance, backends.of(data.X))
            )
        if fraction is not None:
            msg = "got validation_data and validation_fraction; give one of them"
            raise ValueError(msg)
        return data, self._data(*validation_data, door=self._wide_door(validation_data[0]))
