/* The accelerator in a program of libFuzzer's, so that its own branches lead and the sanitizers watch its memory. What
   must hold of it is said in Python, `targets.accelerate`; the module that is in the package is left out. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>

PyMODINIT_FUNC PyInit__accelerator(void);

static PyObject *target;

int
LLVMFuzzerInitialize(int *Py_UNUSED(count), char ***Py_UNUSED(arguments))
{
    PyImport_AppendInittab("_accelerator", PyInit__accelerator);
    Py_InitializeEx(0);
    PyRun_SimpleString("import sys, _accelerator\n"
                       "sys.modules['hubbub._accelerator'] = _accelerator\n"
                       "from tests.fuzz import targets\n"
                       "assert targets.C is _accelerator\n");
    PyObject *module = PyImport_ImportModule("tests.fuzz.targets");
    target = module == NULL ? NULL : PyObject_GetAttrString(module, "accelerate");
    if (target == NULL) {
        PyErr_Print();
        exit(1);
    }
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PyObject *result = PyObject_CallFunction(target, "y#", (const char *)data, (Py_ssize_t)size);
    if (result == NULL) {
        PyErr_Print();
        abort();
    }
    Py_DECREF(result);
    return 0;
}
