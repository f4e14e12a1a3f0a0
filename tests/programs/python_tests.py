#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs modules of Python's own tests, and prints what became of each test.

usage: python_tests.py MODULE...       test_gc and the like

The environment's PYTHON_TESTS_EXCEPT names tests that are left out.
"""
import os
import sys
import unittest

from test import support


class Results(unittest.TestResult):
    def note(self, test, outcome):
        print(test.id(), outcome)

    def addSuccess(self, test):
        self.note(test, "ok")

    def addSkip(self, test, reason):
        self.note(test, "skipped")

    def addExpectedFailure(self, test, err):
        self.note(test, "fails as expected")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note(test, "FAILED")
        print(self.failures[-1][1], file=sys.stderr)

    def addError(self, test, err):
        super().addError(test, err)
        self.note(test, "ERROR")
        print(self.errors[-1][1], file=sys.stderr)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.note(subtest, "FAILED")
            print((self.failures + self.errors)[-1][1], file=sys.stderr)


def tests_of(suite, left_out):
    """All tests of a suite, in its order."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test, left_out)
        elif test.id().rpartition(".")[2] not in left_out:
            yield test


def main():
    support.verbose = 0
    results = Results()
    left_out = os.environ.get("PYTHON_TESTS_EXCEPT", "").split()
    for name in sys.argv[1:]:
        suite = unittest.defaultTestLoader.loadTestsFromName("test." + name)
        if left_out:
            # By class still: a suite sets its classes and modules up.
            suite = unittest.TestSuite(tests_of(suite, left_out))
        suite.run(results)
    sys.stdout.flush()
    sys.exit(0 if results.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
