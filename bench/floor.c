/* The floor: receive what comes, send as much back, every 20 ms, and nothing else.
 * usage: floor FD...   Every datagram goes back to its sender unchanged, through the UDP socket it came in by. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

enum { ROWS = 8192, SIZE = 1500 };
static unsigned char data[ROWS][SIZE];
static struct sockaddr_in6 names[ROWS];
static struct iovec vectors[ROWS];
static struct mmsghdr messages[ROWS];

int main(int count, char **arguments) {
    struct timespec due;
    struct sched_param first = {.sched_priority = 1};
    prctl(PR_SET_PDEATHSIG, 15);
    sched_setscheduler(0, SCHED_FIFO, &first); /* as the worker asks; wanted, never required */
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (int row = 0; row < ROWS; row++) {
        vectors[row].iov_base = data[row];
        messages[row].msg_hdr.msg_name = &names[row];
        messages[row].msg_hdr.msg_iov = &vectors[row];
        messages[row].msg_hdr.msg_iovlen = 1;
    }
    for (int used = ROWS;;) {
        due.tv_nsec += 20000000;
        if (due.tv_nsec >= 1000000000) due.tv_nsec -= 1000000000, due.tv_sec++;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        for (int n = 1; n < count; n++) {
            int fd = atoi(arguments[n]);
            for (int row = 0; row < used; row++) {
                messages[row].msg_hdr.msg_namelen = sizeof names[0];
                vectors[row].iov_len = SIZE;
            }
            used = recvmmsg(fd, messages, 1024, MSG_DONTWAIT, NULL);
            if (used < 0) used = 0;
            for (int row = 0; row < used; row++) vectors[row].iov_len = messages[row].msg_len;
            for (int sent = 0, done; sent < used; sent += done)
                if ((done = sendmmsg(fd, messages + sent, used - sent, MSG_DONTWAIT)) <= 0) done = 1;
        }
    }
}
