"""The sweep as one writes it with the stock stack: Hydra's launcher, a Trainer a job, a DataLoader, an MLFlowLogger.

Each part stands as its documentation shows it. bench_sweep.py measures it; the data are those of noiseworks.

python scripts/stock_sweep.py -m seed=range(0,5) lr=0.01,0.03
"""

from __future__ import annotations

from dataclasses import dataclass

import hydra
import pytorch_lightning as pl
import torch
from hydra.core.config_store import ConfigStore
from pytorch_lightning.loggers import MLFlowLogger
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from noiseworks.data.synthetic import Synthetic
from noiseworks.noise import Gaussian
from noiseworks.streams import generator


@dataclass
class Config:
    seed: int = 0
    lr: float = 0.03
    num_examples: int = 1000
    num_features: int = 2
    batch_size: int = 32
    max_epochs: int = 10
    tracking_uri: str = "sqlite:///stock.db"
    lean: bool = False  # without what the Trainer does unless told otherwise: checkpoints, progress bar, summary


ConfigStore.instance().store(name="config", node=Config)


def synthetic(seed: int, num_examples: int, num_features: int, batch_size: int) -> Synthetic:
    """What `data=synthetic data.val_fraction=0 data.standardize=false` is: normal features, unit noise."""
    return Synthetic(
        seed=seed,
        batch_size=batch_size,
        order="shuffle",
        val_fraction=0.0,
        test_fraction=0.0,
        standardize=False,
        allow_fractions=False,
        num_examples=num_examples,
        num_features=num_features,
        correlation=0.0,
        rank=None,
        true_weights=None,
        true_intercept=1.0,
        signal=1.0,
        noise=Gaussian(),
    )


def examples(cfg: Config) -> tuple[Tensor, Tensor]:
    data = synthetic(cfg.seed, cfg.num_examples, cfg.num_features, cfg.batch_size)
    return data.draw(cfg.num_examples, generator(cfg.seed, "data"), generator(cfg.seed, "noise"))


class LinearRegression(pl.LightningModule):
    def __init__(self, num_features: int, lr: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.net = torch.nn.Linear(num_features, 1)

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        X, y = batch
        loss = 0.5 * torch.nn.functional.mse_loss(self.net(X).squeeze(1), y)
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)


def distance_to_exact(module: LinearRegression, X: Tensor, y: Tensor) -> float:
    A = torch.cat([X, torch.ones(len(X), 1, dtype=X.dtype)], dim=1)
    exact = torch.linalg.lstsq(A, y.unsqueeze(1)).solution.squeeze(1)
    trained = torch.cat([module.net.weight.detach().flatten(), module.net.bias.detach()]).double()
    return (trained - exact).norm().item()


@hydra.main(version_base="1.3", config_path=None, config_name="config")
def main(cfg: Config) -> float:
    pl.seed_everything(cfg.seed, verbose=False)
    X, y = examples(cfg)
    loader = DataLoader(TensorDataset(X.float(), y.float()), batch_size=cfg.batch_size, shuffle=True)
    module = LinearRegression(cfg.num_features, cfg.lr)
    logger = MLFlowLogger(experiment_name="stock", tracking_uri=cfg.tracking_uri)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=cfg.max_epochs,
        logger=logger,
        enable_checkpointing=not cfg.lean,
        enable_progress_bar=not cfg.lean,
        enable_model_summary=not cfg.lean,
    )
    trainer.fit(module, loader)
    error = distance_to_exact(module, X, y)
    logger.log_metrics({"param/error": error})
    return error


if __name__ == "__main__":
    main()
