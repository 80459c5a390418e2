// SPDX-License-Identifier: GPL-2.0-or-later
// libFuzzer's entry points: an embedded Python builds the engine once and hands over the target as a C function;
// after that no input touches the interpreter.
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int (*target)(const uint8_t *, size_t);
static const char **complaint;

static void *pointer_of(PyObject *module, const char *function, const char *argument, const char *capsule) {
    PyObject *found = PyObject_CallMethod(module, function, "s", argument);
    void *at = found ? PyCapsule_GetPointer(found, capsule) : NULL;
    if (!at) {
        PyErr_Print();
        exit(2);
    }
    return at;  // the reference is kept for good: so is what it points to
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    const char *name = getenv("FUZZ_TARGET");
    PyObject *module;
    (void)argc, (void)argv;
    Py_InitializeEx(0);
    module = PyImport_ImportModule("tests.fuzz.native");
    if (!module || !name) {
        PyErr_Print();
        fprintf(stderr, "FUZZ_TARGET names the target\n");
        exit(2);
    }
    target = (int (*)(const uint8_t *, size_t))pointer_of(module, "target", name, "fuzz");
    complaint = pointer_of(module, "complaint", name, "complaint");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (target(data, size)) {
        fprintf(stderr, "complaint: %s\n", *complaint);
        abort();
    }
    return 0;
}
