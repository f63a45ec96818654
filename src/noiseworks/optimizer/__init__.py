from noiseworks.optimizer.exact import Exact
from noiseworks.optimizer.members import make_stepper
from noiseworks.optimizer.minibatch_sgd import MinibatchSGD
from noiseworks.optimizer.schedule import Constant, Cosine, InverseSqrt, Schedule

__all__ = ["Constant", "Cosine", "Exact", "InverseSqrt", "MinibatchSGD", "Schedule", "make_stepper"]
