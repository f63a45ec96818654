from noiseworks.tracking.settings import Mlflow, Untracked

__all__ = ["Mlflow", "Untracked"]
