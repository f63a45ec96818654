import hydra
from omegaconf import DictConfig
from optuna.trial import Trial


@hydra.main(version_base=None, config_path="custom-search-space", config_name="config")
def sphere_in_four_dimensions(cfg: DictConfig) -> float:
    return float(cfg.w**2 + cfg.x**2 + cfg.y**2 + cfg.z**2)


def configure(cfg: DictConfig, trial: Trial) -> None:
    x = trial.params["x"]
    trial.suggest_float("z", x - cfg.max_z_difference_from_x, x + cfg.max_z_difference_from_x)
    trial.suggest_float("+w", 0.0, 1.0)  # there is no w in config.yaml


if __name__ == "__main__":
    sphere_in_four_dimensions()
