"""Acts like an app: says what a profile says, once, and writes down what the server makes of it.

    profiles()                                   Profile by id; the data is `knowledge/profiles.toml`
    act(profile, credential, target, way)        -> Attempt     the profile's own dialogue, told by the relay's watch
    perform(profile, credential, target, way)    -> Performed   a real program, in a child process behind the relay

One sign-in, never a retry. A password is sent inside TLS only, or to a server that was named with /none. The real
programs are started, never imported: aioimaplib is GPL, and both hide what the relay then shows.
"""

from .actor import act
from .profiles import Profile, profiles
from .programs import MissingProgramError, Performed, perform

__all__ = ["MissingProgramError", "Performed", "Profile", "act", "perform", "profiles"]
