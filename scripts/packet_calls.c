// A bare echo on a veth pair: frames of 64 bytes are taken from the ring of a packet socket
// (packet(7)), their MAC addresses change places, and they are sent by one of the ways that such sockets have.
// A thread on another CPU sends to it flat out, and receives. For each way a line: its name, a tab, and the ticks of
// the time-stamp counter that a frame which was sent took, in the turns that found some, the kernel's work included.
//
//   packet_calls NEAR FAR SECONDS CPU FAR_CPU     network namespaces with the interfaces near0 and far0
//
// scripts/packet_calls compiles it, makes the namespaces and runs it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <x86intrin.h>

// Frames of a turn; bytes of a ring's slot, their number, and where a frame stands in one that is to be sent.
enum { BURST = 32, LEN = 64, SLOT = 2048, SLOTS = 1024, DATA = TPACKET2_HDRLEN - sizeof(struct sockaddr_ll) };

// Whether it has a ring, goes past the queueing discipline, and has a call for each frame.
struct way { const char *name; int ring, bypass, each; };
struct ring { uint8_t *slots; unsigned at; };
struct sender { int fd; struct ring ring; const struct way *way; struct mmsghdr messages[BURST]; struct iovec parts[BURST]; };

static atomic_int stop;

static void fail(const char *what) { perror(what); exit(1); }

static void be_at(const char *netns, int cpu) {
    char path[256];
    snprintf(path, sizeof path, "/run/netns/%s", netns);
    int fd = open(path, O_RDONLY);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0 || sched_setaffinity(0, sizeof set, &set) < 0) fail(netns);
    close(fd);
}

// A packet socket bound to an interface, with a ring for one way or none.
static int open_socket(const char *interface, int kind, int bypass, struct ring *ring) {
    int fd = socket(AF_PACKET, SOCK_RAW, 0), version = TPACKET_V2, on = 1;
    if (fd < 0) fail("socket");
    if (bypass && setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, sizeof bypass) < 0) fail("bypass");
    if (kind) {
        struct tpacket_req request = {SLOT * 2, SLOTS / 2, SLOT, SLOTS};
        if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0) fail("version");
        if (setsockopt(fd, SOL_PACKET, kind, &request, sizeof request) < 0) fail("ring");
        ring->slots = mmap(NULL, SLOT * SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
        ring->at = 0;
        if (ring->slots == MAP_FAILED) fail("mmap");
    }
    if (kind == PACKET_RX_RING && setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0) fail("outgoing");
    struct sockaddr_ll own = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(interface)};
    own.sll_protocol = kind == PACKET_RX_RING ? htons(ETH_P_ALL) : 0;
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0) fail(interface);
    return fd;
}

// A mapped ring keeps its socket open, and the socket would be given each frame still.
static void close_socket(int fd, struct ring *ring) {
    if (ring->slots) munmap(ring->slots, SLOT * SLOTS);
    close(fd);
}

static struct tpacket2_hdr *slot(const struct ring *ring, unsigned ahead) {
    return (void *)(ring->slots + (ring->at + ahead) % SLOTS * SLOT);
}

// Frames of a ring that came, BURST at most; they are the ring's again after give_back.
static int take(const struct ring *ring, uint8_t *frames[BURST]) {
    int count = 0;
    for (; count < BURST; count++) {
        struct tpacket2_hdr *header = slot(ring, count);
        if (!(__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) break;
        frames[count] = (uint8_t *)header + header->tp_mac;
    }
    return count;
}

static void give_back(struct ring *ring, int count) {
    for (int i = 0; i < count; i++) __atomic_store_n(&slot(ring, i)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    ring->at += count;
}

static void open_sender(struct sender *sender, const char *interface, const struct way *way) {
    memset(sender, 0, sizeof *sender);
    sender->way = way;
    sender->fd = open_socket(interface, way->ring ? PACKET_TX_RING : 0, way->bypass, &sender->ring);
}

// How many went; what does not go is dropped.
static int send_frames(struct sender *sender, uint8_t *frames[BURST], int count) {
    int sent = 0;
    if (sender->way->ring) {
        for (int i = 0; i < count; i++, sent++) {
            struct tpacket2_hdr *header = slot(&sender->ring, 0);
            if (__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) != TP_STATUS_AVAILABLE) break;
            memcpy((uint8_t *)header + DATA, frames[i], LEN);
            header->tp_len = LEN;
            __atomic_store_n(&header->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
            sender->ring.at++;
        }
        sendto(sender->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
    } else if (sender->way->each) {
        for (int i = 0; i < count; i++) sent += send(sender->fd, frames[i], LEN, MSG_DONTWAIT) == LEN;
    } else {
        for (int i = 0; i < count; i++) {
            sender->parts[i] = (struct iovec){frames[i], LEN};
            sender->messages[i].msg_hdr = (struct msghdr){.msg_iov = &sender->parts[i], .msg_iovlen = 1};
        }
        sent = sendmmsg(sender->fd, sender->messages, count, MSG_DONTWAIT);
    }
    return sent < 0 ? 0 : sent;
}

// To a station that is the near end, and an address that is nobody's: a UDP datagram, its checksum left out.
static const uint8_t HEAD[42] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 50, 0, 0, 0x40, 0, 64, 17,
    0x26, 0x1f, 10, 77, 0, 2, 10, 77, 0, 1, 0x12, 0x34, 0, 7, 0, 30, 0, 0};

static void *load(void *argument) {
    static const struct way way = {"", 0, 1, 0};
    static uint8_t frame[LEN];
    char **arguments = argument;
    uint8_t *same[BURST], *came[BURST];
    struct ring ring;
    struct sender sender;
    be_at(arguments[2], atoi(arguments[5]));
    open_socket("far0", PACKET_RX_RING, 0, &ring);
    open_sender(&sender, "far0", &way);
    memcpy(frame, HEAD, sizeof HEAD);
    for (int i = 0; i < BURST; i++) same[i] = frame;
    while (!stop) {
        send_frames(&sender, same, BURST);
        give_back(&ring, take(&ring, came));
    }
    return NULL;
}

// Ticks a frame, in turns that found some.
static double echo(const struct way *way, double ticks) {
    uint8_t *frames[BURST], mac[6];
    struct ring ring;
    struct sender sender;
    int fd = open_socket("near0", PACKET_RX_RING, 0, &ring);
    open_sender(&sender, "near0", way);
    uint64_t begin = __rdtsc(), last = begin, busy = 0, echoed = 0;
    while (last - begin < ticks) {
        int count = take(&ring, frames);
        for (int i = 0; i < count; i++) {
            memcpy(mac, frames[i], 6);
            memcpy(frames[i], frames[i] + 6, 6);
            memcpy(frames[i] + 6, mac, 6);
        }
        if (count) echoed += send_frames(&sender, frames, count);
        give_back(&ring, count);
        uint64_t now = __rdtsc();
        if (count) busy += now - last;
        last = now;
    }
    close_socket(fd, &ring);
    close_socket(sender.fd, &sender.ring);
    if (!echoed) fail(way->name);
    return (double)busy / echoed;
}

int main(int count, char **arguments) {
    static const struct way ways[] = {
        {"`sendmmsg`, past the queueing discipline", 0, 1, 0}, {"`sendmmsg`", 0, 0, 0},
        {"`PACKET_TX_RING`, past the queueing discipline", 1, 1, 0}, {"`PACKET_TX_RING`", 1, 0, 0},
        {"`send` for each, past the queueing discipline", 0, 1, 1},
    };
    if (count != 6) return 2;
    pthread_t far;
    if (pthread_create(&far, NULL, load, arguments)) fail("thread");
    be_at(arguments[1], atoi(arguments[4]));
    uint64_t begin = __rdtsc();
    usleep(100000);
    double second = (__rdtsc() - begin) * 10.0;
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++)
        printf("%s\t%.0f\n", ways[i].name, echo(&ways[i], second * atof(arguments[3])));
    stop = 1;
    pthread_join(far, NULL);
}
