"""No example has a deadline: a busy machine is no error of ours."""

from hypothesis import settings

settings.register_profile("pgstream", deadline=None)
settings.load_profile("pgstream")
