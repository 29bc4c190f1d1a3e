/* What pays in C: the write loops of hubbub.transports.accelerator and the short ways of hubbub.protocol.fast_path and
   hubbub.handlers.first_step. The Python twins there are the specification; both have the same tests.

   Writing. The GIL is let go once round a whole loop. Letting go for every send(), as os.write does, lets a busy thread
   take it between any two of them, and getting it back can cost a switch interval (5 ms) each time.

   Nothing that a loop reads can change under it: bytes are immutable, the lists are copies of our own that keep what is
   in them alive, and the room for every outcome is there before the first byte leaves. So a call that raises has sent
   nothing, save where memory ends while the result is built.

   Reading. A stranger wrote what is read. Whatever is not of the usual kind is left to Python, which says what is wrong
   with it: no text and no bytes make these functions raise, save where memory ends.

   Coroutines. The first step of one, for those that have no other.

   JSON out. Objects, lists, strings that need no escapes, integers and constants, of these very types, so that no code
   but this runs meanwhile and nothing can change. Whatever holds anything else is left to Python as a whole. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

/* macOS has no MSG_NOSIGNAL. Python ignores SIGPIPE from its start; the flag is for programs that embed it. */
#ifdef MSG_NOSIGNAL
#define FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
#else
#define FLAGS MSG_DONTWAIT
#endif

typedef struct {
    int fd;
    const char *data;
    Py_ssize_t length;
    Py_ssize_t outcome; /* how many bytes were taken, 0 where the socket is full, or -errno */
} Offer;

static Py_ssize_t
offer(int fd, const char *data, Py_ssize_t length)
{
    if (length == 0)
        return 0;
    /* macOS refuses what does not fit an int; a short write is what the caller expects anyway. */
    const size_t size = length > INT_MAX ? INT_MAX : (size_t)length;
    for (;;) {
        const ssize_t sent = send(fd, data, size, FLAGS);
        if (sent >= 0)
            return (Py_ssize_t)sent;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        if (errno != EINTR)
            return -(Py_ssize_t)errno;
    }
}

/* Offers everything and returns the list of those that were not taken whole. */
static PyObject *
deliver(Offer *offers, Py_ssize_t count)
{
    Py_ssize_t unsent = 0;

    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < count; i++) {
        offers[i].outcome = offer(offers[i].fd, offers[i].data, offers[i].length);
        unsent += offers[i].outcome != offers[i].length;
    }
    Py_END_ALLOW_THREADS

    PyObject *list = PyList_New(unsent);
    if (list == NULL)
        return NULL;
    for (Py_ssize_t i = 0, at = 0; at < unsent; i++) {
        if (offers[i].outcome == offers[i].length)
            continue;
        PyObject *pair = Py_BuildValue("(nn)", i, offers[i].outcome);
        if (pair == NULL || PyList_SetItem(list, at++, pair) < 0) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

/* One offer for each descriptor in the list, without data yet. NULL with an exception set; else to be freed. */
static Offer *
offers_to(PyObject *fds)
{
    const Py_ssize_t count = PyList_Size(fds);
    Offer *offers = calloc(count > 0 ? (size_t)count : 1, sizeof(Offer));
    if (offers == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        const long fd = PyLong_AsLong(PyList_GetItem(fds, i));
        if (fd == -1 && PyErr_Occurred()) {
            free(offers);
            return NULL;
        }
        if (fd < INT_MIN || fd > INT_MAX) {
            PyErr_SetString(PyExc_OverflowError, "a descriptor does not fit a C int");
            free(offers);
            return NULL;
        }
        offers[i].fd = (int)fd;
    }
    return offers;
}

static int
fill(Offer *offer, PyObject *data)
{
    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "data must be bytes, which cannot change while they are sent");
        return -1;
    }
    offer->data = PyBytes_AsString(data);
    offer->length = PyBytes_Size(data);
    return 0;
}

static int
takes(Py_ssize_t expected, const char *name, Py_ssize_t given)
{
    if (given == expected)
        return 0;
    PyErr_Format(PyExc_TypeError, "%s() takes %zd positional arguments but %zd were given", name, expected, given);
    return -1;
}

static PyObject *
send_all(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t given)
{
    Offer same = {0};
    if (takes(2, "send_all", given) < 0 || fill(&same, arguments[1]) < 0)
        return NULL;
    PyObject *fds = PySequence_List(arguments[0]);
    if (fds == NULL)
        return NULL;

    PyObject *result = NULL;
    const Py_ssize_t count = PyList_Size(fds);
    Offer *offers = offers_to(fds);
    if (offers != NULL) {
        for (Py_ssize_t i = 0; i < count; i++) {
            offers[i].data = same.data;
            offers[i].length = same.length;
        }
        result = deliver(offers, count);
    }
    free(offers);
    Py_DECREF(fds);
    return result;
}

static PyObject *
send_each(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t given)
{
    PyObject *fds = NULL, *datas = NULL, *result = NULL;
    Offer *offers = NULL;

    if (takes(2, "send_each", given) < 0)
        return NULL;
    if ((fds = PySequence_List(arguments[0])) == NULL || (datas = PySequence_List(arguments[1])) == NULL)
        goto done;
    const Py_ssize_t count = PyList_Size(fds);
    if (PyList_Size(datas) != count) {
        PyErr_Format(PyExc_ValueError, "%zd descriptors, but %zd datas", count, PyList_Size(datas));
        goto done;
    }
    if ((offers = offers_to(fds)) == NULL)
        goto done;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (fill(&offers[i], PyList_GetItem(datas, i)) < 0)
            goto done;
    }
    result = deliver(offers, count);
done:
    free(offers);
    Py_XDECREF(datas);
    Py_XDECREF(fds);
    return result;
}

enum {
    WHOLE_TEXT = 0x81,
    MASKED = 0x80,
    TWO_BYTES = 126,
    EIGHT_BYTES = 127,
    LONGEST_HEADER = 10,
    LONGEST = 65535,
    USUAL = 4096
};

/* RFC 6455 section 5.2: what stands before a whole text of a server's. */
static size_t
header(unsigned char *to, size_t size)
{
    to[0] = WHOLE_TEXT;
    if (size < TWO_BYTES) {
        to[1] = (unsigned char)size;
        return 2;
    }
    const int bytes = size <= LONGEST ? 2 : 8;
    to[1] = bytes == 2 ? TWO_BYTES : EIGHT_BYTES;
    for (int i = 0; i < bytes; i++)
        to[2 + i] = (unsigned char)((uint64_t)size >> 8 * (bytes - 1 - i));
    return 2 + (size_t)bytes;
}

static PyObject *
text_frame(PyObject *data)
{
    Offer of = {0};
    unsigned char head[LONGEST_HEADER];
    if (fill(&of, data) < 0)
        return NULL;
    const size_t before = header(head, (size_t)of.length);
    PyObject *frame = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)before + of.length);
    if (frame != NULL) {
        char *to = PyBytes_AsString(frame);
        memcpy(to, head, before);
        memcpy(to + before, of.data, (size_t)of.length);
    }
    return frame;
}

static PyObject *
text_frames(PyObject *Py_UNUSED(module), PyObject *argument)
{
    PyObject *datas = PySequence_List(argument);
    if (datas == NULL)
        return NULL;
    /* A list of our own: each data makes room for its frame. */
    for (Py_ssize_t i = 0; i < PyList_Size(datas); i++) {
        PyObject *frame = text_frame(PyList_GetItem(datas, i));
        if (frame == NULL || PyList_SetItem(datas, i, frame) < 0) {
            Py_DECREF(datas);
            return NULL;
        }
    }
    return datas;
}

/* RFC 6455 section 5.3. Eight bytes at a time: compilers make the widest steps of the machine of it. */
static void
unmask(char *restrict to, const unsigned char *restrict from, size_t size, const unsigned char *restrict mask)
{
    uint64_t twice, eight;
    memcpy(&twice, mask, 4);
    memcpy((char *)&twice + 4, mask, 4);
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&eight, from + i, 8);
        eight ^= twice;
        memcpy(to + i, &eight, 8);
    }
    for (; i < size; i++)
        to[i] = (char)(from[i] ^ mask[i % 4]);
}

/* Appends the text of the frame at `head`, of which `there` bytes have come. Returns its length with the header, 0 where
   it is left to Python, -1 with an exception. `large` is room for LONGEST bytes as soon as USUAL are not enough. */
static Py_ssize_t
text_of(PyObject *found, const unsigned char *head, Py_ssize_t there, long long limit, char **large)
{
    char usual[USUAL], *room = usual;

    if (there < 6 || head[0] != WHOLE_TEXT || head[1] < MASKED || head[1] == MASKED + EIGHT_BYTES)
        return 0;
    Py_ssize_t start = 6, size = head[1] - MASKED;
    if (size == TWO_BYTES) {
        start = 8;
        size = head[2] << 8 | head[3];
        if (size < TWO_BYTES)
            return 0;
    }
    if (size > limit || there < start + size)
        return 0;
    if (size > USUAL) {
        if (*large == NULL && (*large = malloc(LONGEST)) == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        room = *large;
    }
    unmask(room, head + start, (size_t)size, head + start - 4);
    PyObject *text = PyUnicode_DecodeUTF8(room, size, NULL);
    if (text == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
            return -1;
        PyErr_Clear();
        return 0;
    }
    const int failed = PyList_Append(found, text);
    Py_DECREF(text);
    return failed ? -1 : start + size;
}

static PyObject *
texts(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t given)
{
    if (takes(5, "texts", given) < 0)
        return NULL;
    if (!PyBytes_Check(arguments[0]) || !PyList_Check(arguments[3])) {
        PyErr_SetString(PyExc_TypeError, "texts() takes bytes and a list");
        return NULL;
    }
    const Py_ssize_t most = PyLong_AsSsize_t(arguments[4]);
    if (most == -1 && PyErr_Occurred())
        return NULL;
    const unsigned char *data = (const unsigned char *)PyBytes_AsString(arguments[0]);
    const Py_ssize_t end = PyBytes_Size(arguments[0]);
    Py_ssize_t at = PyLong_AsSsize_t(arguments[1]), length;
    if (at == -1 && PyErr_Occurred())
        return NULL;
    if (at < 0 || at > end) {
        PyErr_SetString(PyExc_IndexError, "at lies outside of data");
        return NULL;
    }
    int beyond;
    long long limit = PyLong_AsLongLongAndOverflow(arguments[2], &beyond);
    if (limit == -1 && PyErr_Occurred())
        return NULL;
    if (beyond > 0)
        limit = LLONG_MAX;

    char *large = NULL;
    length = 0;
    while (PyList_Size(arguments[3]) < most &&
           (length = text_of(arguments[3], data + at, end - at, limit, &large)) > 0)
        at += length;
    free(large);
    return length < 0 ? NULL : PyLong_FromSsize_t(at);
}

/* JSON that is being read. A NUL stands at `end`, as behind every string of Python's, and is part of nothing that can be
   read: so one may look at `*at`, and past it by one where it was anything else. */
typedef struct {
    const char *at, *end;
    PyObject *type, *id; /* those members, where they have been; of the object that is being read */
} Json;

static void
skip_blanks(Json *json)
{
    while (*json->at == ' ' || *json->at == '\t' || *json->at == '\n' || *json->at == '\r')
        json->at++;
}

/* Whether a byte lies below 0x20. Eight at a time: taking 0x20 away sets the top bit of just those that were below, and
   of some that had it before or lie above one that was below. */
static int
has_controls(const char *text, size_t size)
{
    const uint64_t spaces = 0x2020202020202020u, tops = 0x8080808080808080u;
    uint64_t below = 0, eight;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&eight, text + i, 8);
        below |= (eight - spaces) & ~eight;
    }
    int found = (below & tops) != 0;
    for (; i < size; i++)
        found |= (unsigned char)text[i] < 0x20;
    return found;
}

/* This and what follows: NULL, mostly without an exception, where it is something else. */
static PyObject *
string(Json *json)
{
    if (*json->at != '"')
        return NULL;
    const char *start = json->at + 1;
    const char *quote = memchr(start, '"', (size_t)(json->end - start));
    if (quote == NULL || has_controls(start, (size_t)(quote - start)))
        return NULL;
    json->at = quote + 1;
    return PyUnicode_FromStringAndSize(start, quote - start);
}

static PyObject *
integer(Json *json)
{
    const int negative = *json->at == '-';
    const char *first = json->at + negative, *at = first;
    uint64_t amount = 0;
    while (*at >= '0' && *at <= '9' && at - first < 20)
        amount = amount * 10 + (uint64_t)(*at++ - '0');
    const Py_ssize_t digits = at - first;
    /* 19 digits fit: 2^62 has as many, and none of the numbers with 19 reaches 2^64. */
    if (digits == 0 || digits > 19 || (*first == '0' && digits > 1) || amount >= (uint64_t)1 << 62)
        return NULL;
    json->at = at;
    return PyLong_FromLongLong(negative ? -(long long)amount : (long long)amount);
}

static PyObject *
word(Json *json, const char *spelt, PyObject *meant)
{
    const size_t size = strlen(spelt);
    if (strncmp(json->at, spelt, size) != 0)
        return NULL;
    json->at += size;
    return Py_NewRef(meant);
}

static PyObject *
value(Json *json)
{
    switch (*json->at) {
    case '"':
        return string(json);
    case 't':
        return word(json, "true", Py_True);
    case 'f':
        return word(json, "false", Py_False);
    case 'n':
        return word(json, "null", Py_None);
    default:
        return integer(json);
    }
}

/* Adds one member to `fields`. 0, or -1 as above. */
static int
member(Json *json, PyObject *fields)
{
    int failed = -1;
    skip_blanks(json);
    const char *quoted = json->at;
    PyObject *key = string(json), *meant = NULL;
    if (key == NULL)
        return -1;
    const Py_ssize_t length = json->at - quoted;
    skip_blanks(json);
    if (*json->at == ':') {
        json->at++;
        skip_blanks(json);
        meant = value(json);
        if (meant != NULL)
            failed = PyDict_SetItem(fields, key, meant);
        if (length == 6 && memcmp(quoted, "\"type\"", 6) == 0)
            json->type = meant;
        else if (length == 4 && memcmp(quoted, "\"id\"", 4) == 0)
            json->id = meant;
        skip_blanks(json);
    }
    Py_DECREF(key);
    Py_XDECREF(meant);
    return failed;
}

/* Puts the whole text into `fields`. 0, or -1 as above. */
static int
object(Json *json, PyObject *fields)
{
    Py_ssize_t count = 0;
    skip_blanks(json);
    if (*json->at != '{')
        return -1;
    json->at++;
    skip_blanks(json);
    if (*json->at != '}') {
        for (;;) {
            if (member(json, fields) < 0)
                return -1;
            count++;
            if (*json->at != ',')
                break;
            json->at++;
        }
        if (*json->at != '}')
            return -1;
    }
    json->at++;
    skip_blanks(json);
    return json->at == json->end && PyDict_Size(fields) == count ? 0 : -1; /* fewer: a key stood there twice */
}

/* The object that `text` is. */
static PyObject *
fields_of(Json *json, PyObject *text)
{
    Py_ssize_t size;
    const char *start = PyUnicode_AsUTF8AndSize(text, &size);
    if (start == NULL) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            PyErr_Clear(); /* a lone surrogate */
        return NULL;
    }
    if (memchr(start, '\\', (size_t)size) != NULL)
        return NULL;
    PyObject *fields = PyDict_New();
    if (fields == NULL)
        return NULL;
    *json = (Json){start, start + size, NULL, NULL};
    if (object(json, fields) == 0)
        return fields;
    Py_DECREF(fields);
    return NULL;
}

static PyObject *
plain(PyObject *Py_UNUSED(module), PyObject *text)
{
    Json json;
    PyObject *fields = fields_of(&json, text);
    if (fields == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return fields;
}

static PyObject *
typed(PyObject *Py_UNUSED(module), PyObject *text)
{
    Json json;
    PyObject *fields = fields_of(&json, text), *result = NULL;
    if (fields != NULL && json.type != NULL && PyUnicode_CheckExact(json.type))
        result = PyTuple_Pack(3, json.type, fields, json.id != NULL ? json.id : Py_None);
    Py_XDECREF(fields);
    if (result == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return result;
}

/* JSON that is being written: in `usual` as long as that is enough. */
typedef struct {
    char *text, *heap;
    size_t size, room;
    char usual[USUAL];
} Text;

enum { DEEPEST = 16, LONGEST_INTEGER = 20 };

/* Room for `more` bytes. NULL with an exception. */
static char *
extend(Text *text, size_t more)
{
    if (text->room - text->size < more) {
        const size_t room = (text->size + more) * 2;
        char *heap = realloc(text->heap, room);
        if (heap == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        if (text->heap == NULL)
            memcpy(heap, text->usual, text->size);
        text->text = text->heap = heap;
        text->room = room;
    }
    char *at = text->text + text->size;
    text->size += more;
    return at;
}

/* These and what follows: 0, or -1, mostly without an exception, where Python is to write it. */
static int
write_bytes(Text *text, const char *bytes, size_t size)
{
    char *at = extend(text, size);
    if (at == NULL)
        return -1;
    memcpy(at, bytes, size);
    return 0;
}

static int
write_string(Text *text, PyObject *string)
{
    Py_ssize_t length;
    const char *bytes = PyUnicode_AsUTF8AndSize(string, &length);
    if (bytes == NULL) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            PyErr_Clear(); /* a lone surrogate */
        return -1;
    }
    const size_t size = (size_t)length;
    if (memchr(bytes, '"', size) != NULL || memchr(bytes, '\\', size) != NULL || has_controls(bytes, size))
        return -1;
    char *at = extend(text, size + 2);
    if (at == NULL)
        return -1;
    at[0] = '"';
    memcpy(at + 1, bytes, size);
    at[size + 1] = '"';
    return 0;
}

static int
write_integer(Text *text, PyObject *integer)
{
    int beyond;
    const long long number = PyLong_AsLongLongAndOverflow(integer, &beyond);
    if (beyond != 0 || (number == -1 && PyErr_Occurred()))
        return -1;
    unsigned long long amount = number < 0 ? 0 - (unsigned long long)number : (unsigned long long)number;
    char digits[LONGEST_INTEGER], *first = digits + LONGEST_INTEGER;
    do {
        *--first = (char)('0' + amount % 10);
        amount /= 10;
    } while (amount != 0);
    if (number < 0)
        *--first = '-';
    return write_bytes(text, first, (size_t)(digits + LONGEST_INTEGER - first));
}

static int write_value(Text *text, PyObject *value, int depth);

static int
write_object(Text *text, PyObject *object, int depth)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    char before = '{';
    while (PyDict_Next(object, &at, &key, &value)) {
        if (!PyUnicode_CheckExact(key) || write_bytes(text, &before, 1) < 0 || write_string(text, key) < 0 ||
            write_bytes(text, ":", 1) < 0 || write_value(text, value, depth) < 0)
            return -1;
        before = ',';
    }
    return before == '{' ? write_bytes(text, "{}", 2) : write_bytes(text, "}", 1);
}

static int
write_list(Text *text, PyObject *list, int depth)
{
    const Py_ssize_t count = PyList_Size(list);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (write_bytes(text, i == 0 ? "[" : ",", 1) < 0 || write_value(text, PyList_GetItem(list, i), depth) < 0)
            return -1;
    }
    return count == 0 ? write_bytes(text, "[]", 2) : write_bytes(text, "]", 1);
}

static int
write_value(Text *text, PyObject *value, int depth)
{
    if (PyUnicode_CheckExact(value))
        return write_string(text, value);
    if (PyLong_CheckExact(value))
        return write_integer(text, value);
    if (value == Py_None)
        return write_bytes(text, "null", 4);
    if (value == Py_True)
        return write_bytes(text, "true", 4);
    if (value == Py_False)
        return write_bytes(text, "false", 5);
    if (depth == DEEPEST)
        return -1;
    if (PyDict_CheckExact(value))
        return write_object(text, value, depth + 1);
    if (PyList_CheckExact(value))
        return write_list(text, value, depth + 1);
    return -1;
}

static void
begin(Text *text)
{
    text->text = text->usual;
    text->heap = NULL;
    text->size = 0;
    text->room = USUAL;
}

/* What was written, or None; `failed` is what the writing came to. */
static PyObject *
finish(Text *text, int failed)
{
    PyObject *result = NULL;
    if (!failed)
        result = PyBytes_FromStringAndSize(text->text, (Py_ssize_t)text->size);
    else if (!PyErr_Occurred())
        result = Py_NewRef(Py_None);
    free(text->heap);
    return result;
}

static PyObject *
written(PyObject *Py_UNUSED(module), PyObject *message)
{
    Text text;
    begin(&text);
    return finish(&text, write_value(&text, message, 0) < 0);
}

static PyObject *
acknowledged(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t given)
{
    static const char before[] = "{\"type\":\"ack\",\"result\":", between[] = ",\"id\":";
    Text text;
    if (takes(2, "acknowledged", given) < 0)
        return NULL;
    begin(&text);
    /* The result stands one deep, as where the whole is written. */
    const int failed = write_bytes(&text, before, sizeof before - 1) < 0 || write_value(&text, arguments[1], 1) < 0 ||
                       write_bytes(&text, between, sizeof between - 1) < 0 || write_value(&text, arguments[0], 1) < 0 ||
                       write_bytes(&text, "}", 1) < 0;
    return finish(&text, failed);
}

/* Coroutines. What one returns comes without the exception by which Python is told. */
static PyObject *
first_step(PyObject *Py_UNUSED(module), PyObject *coroutine)
{
    PyObject *given;
    const PySendResult ended = PyIter_Send(coroutine, Py_None, &given);
    if (ended == PYGEN_ERROR)
        return NULL;
    PyObject *result = PyTuple_Pack(2, ended == PYGEN_RETURN ? Py_True : Py_False, given);
    Py_DECREF(given);
    return result;
}

static PyMethodDef methods[] = {
    {"send_all", (PyCFunction)(void (*)(void))send_all, METH_FASTCALL, NULL},
    {"send_each", (PyCFunction)(void (*)(void))send_each, METH_FASTCALL, NULL},
    {"text_frames", text_frames, METH_O, NULL},
    {"texts", (PyCFunction)(void (*)(void))texts, METH_FASTCALL, NULL},
    {"plain", plain, METH_O, NULL},
    {"typed", typed, METH_O, NULL},
    {"written", written, METH_O, NULL},
    {"acknowledged", (PyCFunction)(void (*)(void))acknowledged, METH_FASTCALL, NULL},
    {"first_step", first_step, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* There is no state, so every interpreter and every thread may have it. Under the stable ABI of 3.11 that cannot be
   said: an interpreter with a GIL of its own refuses the module and runs the twin. */
static PyModuleDef_Slot slots[] = {
#ifndef Py_LIMITED_API
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
#endif
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "hubbub._accelerator",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__accelerator(void)
{
    return PyModuleDef_Init(&module);
}
