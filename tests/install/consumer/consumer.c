/* A stranger's first program: a host with nothing but loopback, and one connection from it to itself. */
#include <limpid/limpid.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  struct lp_host_config config = {.size = sizeof config, .fd = -1, .seed = 1};
  struct lp_host* host = lp_host_create(&config);
  if (!host) return perror("lp_host_create"), 1;
  lp_host_use(host);
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(7), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int listener = lp_socket(AF_INET, SOCK_STREAM, 0), client = lp_socket(AF_INET, SOCK_STREAM, 0);
  if (lp_bind(listener, (struct sockaddr*)&here, sizeof here) || lp_listen(listener, 1)) return perror("listen"), 1;
  if (lp_connect(client, (struct sockaddr*)&here, sizeof here)) return perror("connect"), 1;
  int server = lp_accept(listener, NULL, NULL);
  char text[6] = "";
  if (lp_send(client, "hello", 6, 0) != 6 || lp_recv(server, text, 6, MSG_WAITALL) != 6) return perror("send, recv"), 1;
  puts(text);
  lp_host_destroy(host);
  return strcmp(text, "hello") != 0;
}
