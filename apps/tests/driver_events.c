/*
 * Tells a program's DPDK of events as a driver would, since no virtual device raises them by itself. Loaded
 * with LD_PRELOAD; reads them from the pipe that GANNET_TEST_EVENTS names, a number of enum
 * rte_eth_event_type a line, all about port 0.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void *tell(void *path)
{
	/* Internal to DPDK and exported for its drivers. */
	int (*process)(void *, int, void *) = dlsym(RTLD_DEFAULT, "rte_eth_dev_callback_process");
	void *first_device = dlsym(RTLD_DEFAULT, "rte_eth_devices");
	char line[32];
	FILE *pipe = fopen(path, "r");

	if (!process || !first_device || !pipe)
		abort();
	while (fgets(line, sizeof(line), pipe))
		process(first_device, atoi(line), NULL);
	return NULL;
}

__attribute__((constructor)) static void start(void)
{
	pthread_t thread;
	char *path = getenv("GANNET_TEST_EVENTS");

	/* What starts the program is loaded with this, too, and has no DPDK. */
	if (path && dlsym(RTLD_DEFAULT, "rte_eal_init"))
		pthread_create(&thread, NULL, tell, path);
}

/* Drivers of virtual devices have no reset. This one takes two attempts, and leaves the device stopped. */
int rte_eth_dev_reset(uint16_t port)
{
	static int attempts;
	int (*stop)(uint16_t) = dlsym(RTLD_NEXT, "rte_eth_dev_stop");
	int (*real)(uint16_t) = dlsym(RTLD_NEXT, "rte_eth_dev_reset");

	if (!getenv("GANNET_TEST_RESET"))
		return real(port);
	fprintf(stderr, "reset, attempt %d\n", ++attempts);
	return attempts < 2 ? -EAGAIN : stop(port);
}
