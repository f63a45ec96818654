from noiseworks.trainer.settings import Settings

__all__ = ["Settings"]
