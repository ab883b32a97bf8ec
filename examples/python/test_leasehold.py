"""Tests of leasehold.py against a real service: LEASEHOLD_URL, and LEASEHOLD_OTHER_URL for nobody."""

import os
import subprocess
import sys
import threading
import unittest

import leasehold
from leasehold import LeaseLost, LeaseRefused, LeaseTimeout, Unreachable, gpu_lease

URL = os.environ["LEASEHOLD_URL"]
NOBODY = os.environ["LEASEHOLD_OTHER_URL"]


def call(path, body):
    return leasehold._Coordinators(URL, None).call(path, body, 10)


class Leases(unittest.TestCase):
    def test_holds_and_gives_back(self):
        tokens = []
        for _ in range(2):
            with gpu_lease("p", timeout=10) as lease:
                self.assertTrue(lease.is_held)
                self.assertEqual(lease.holder, "p")
                lease.check()
                tokens.append(lease.fencing_token)
            self.assertFalse(lease.is_held)
        self.assertLess(tokens[0], tokens[1])

    def test_renews_for_longer_than_its_time(self):
        with gpu_lease("p", timeout=10, ttl=2) as lease:
            target = lease.deadline + 2 * lease.ttl
            while lease.deadline < target:
                self.assertFalse(lease.lost.wait(0.01))

    def test_tells_its_loss(self):
        with self.assertRaises(LeaseLost) as caught:
            with gpu_lease("p", timeout=10, ttl=2) as lease:
                call("/v1/gpu/reset", {"reason": "a test"})
                self.assertTrue(lease.lost.wait(10))
                self.assertFalse(lease.is_held)
        self.assertEqual(caught.exception.reason, "revoked")

    def test_gives_back_when_the_block_fails(self):
        with self.assertRaises(ZeroDivisionError):
            with gpu_lease("p", timeout=10):
                1 / 0
        with gpu_lease("p", timeout=10):
            pass

    def test_times_out_and_is_refused(self):
        with gpu_lease("p", timeout=10):
            with self.assertRaises(LeaseTimeout):
                with gpu_lease("q", timeout=0.2):
                    self.fail("granted twice")
            refusals = []

            def wait():
                try:
                    with gpu_lease("q", timeout=30):
                        pass
                except LeaseRefused as error:
                    refusals.append(str(error))

            thread = threading.Thread(target=wait)
            thread.start()
            while call("/v1/gpu/force-release-all", {"holder": "q", "why": "a test"})[1]["refused"] == 0:
                self.assertTrue(thread.is_alive())
            thread.join(10)
        self.assertIn("a test", refusals[0])
        with self.assertRaises(LeaseRefused):
            with gpu_lease("", timeout=1):
                self.fail("nobody got a lease")

    def test_asks_the_next_coordinator(self):
        with gpu_lease("p", timeout=10, url=f"{NOBODY},{URL}") as lease:
            self.assertTrue(lease.is_held)
        with self.assertRaises(Unreachable):
            with gpu_lease("p", timeout=10, url=NOBODY, reconnecting=0.3):
                self.fail("granted by nobody")

    def test_the_program_itself(self):
        result = subprocess.run([sys.executable, leasehold.__file__], capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(result.stdout.endswith("step 3\ngiven back\n"), result.stdout)


if __name__ == "__main__":
    unittest.main()
