from tests.fixtures import one_thread as one_thread
