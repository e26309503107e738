from tests.fixtures import no_fsync as no_fsync
from tests.fixtures import one_thread as one_thread
