/* SPDX-License-Identifier: Apache-2.0 */
/* Texts as QEMU 7.2 printed them, cut to what matters. */
#include "introspect/registers.h"

#include <errno.h>
#include <stdlib.h>

#include "base/test.h"

enum { CAPACITY = 4 };

static struct registers vcpus[CAPACITY];

/* "info registers -a" of a Linux 6.1 guest with two vCPUs and 5-level paging */
static const char long_mode[] =
	"\n"
	"CPU#0\n"
	"RAX=ffffffff81c2a5e0 RBX=0000000000000000 RCX=0000000000000001 RDX=0000000000000004\n"
	"RIP=00000000004017f5 RFL=00000206 [-----P-] CPL=3 II=0 A20=1 SMM=0 HLT=0\n"
	"CS =0033 0000000000000000 ffffffff 00affb00 DPL=3 CS64 [-RA]\n"
	"LDT=0000 0000000000000000 00000000 00008200 DPL=0 LDT\n"
	"GDT=     fffffe0000001000 0000007f\n"
	"IDT=     fffffe0000000000 00000fff\n"
	"CR0=80050033 CR2=000000000046d070 CR3=000000000105a000 CR4=00751eb0\n"
	"DR0=0000000000000000 DR1=0000000000000000 DR2=0000000000000000 DR3=0000000000000000 \n"
	"EFER=0000000000000d01\n"
	"FCW=037f FSW=0000 [ST=0] FTW=00 MXCSR=00001f80\n"
	"\n"
	"CPU#1\n"
	"RIP=ffffffff81c2a5ef RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\n"
	"IDT=     fffffe0000000000 00000fff\n"
	"CR0=80050033 CR2=0000000028ed9ca8 CR3=0000000002996000 CR4=00751ea0\n"
	"EFER=0000000000000d01\n";

static void test_registers_of_all_vcpus(void)
{
	check_int(registers_parse(long_mode, vcpus, CAPACITY, NULL), 2);
	check(vcpus[0].cr3 == 0x105a000 && vcpus[1].cr3 == 0x2996000);
	check(vcpus[0].cr4 == 0x751eb0 && vcpus[0].cr0 == 0x80050033);
	check(vcpus[1].idt_base == 0xfffffe0000000000);
	check(vcpus[1].has_efer && vcpus[1].efer == 0xd01);
}

/* before the firmware runs the numbers are short */
static void test_registers_in_real_mode(void)
{
	static const char text[] = "\r\nCPU#0\r\n"
				   "EAX=00000000 EBX=00000000 ECX=00000000 EDX=00060fb1\r\n"
				   "GDT=     00000000 0000ffff\r\n"
				   "IDT=     00001000 0000ffff\r\n"
				   "CR0=60000010 CR2=00000000 CR3=00000000 CR4=00000000\r\n"
				   "EFER=0000000000000000\r\n";

	check_int(registers_parse(text, vcpus, CAPACITY, NULL), 1);
	check_int(vcpus[0].cr0, 0x60000010);
	check_int(vcpus[0].idt_base, 0x1000);
}

/* as older versions print a single vCPU */
static void test_registers_without_heading_and_efer(void)
{
	static const char text[] =
		"RAX=0000000000000000 RBX=0000000000000000 RCX=0000000000000001\n"
		"IDT=     fffffe0000000000 00000fff\n"
		"CR0=80050033 CR2=000000000046d070 CR3=000000000105a000 CR4=000006f0\n";

	check_int(registers_parse(text, vcpus, CAPACITY, NULL), 1);
	check(vcpus[0].cr3 == 0x105a000 && vcpus[0].cr4 == 0x6f0);
	check(!vcpus[0].has_efer);
}

static void test_registers_of_no_x86(void)
{
	static const char *const texts[] = {
		"",
		"\n\n",
		"unknown command: 'info registers'\n",
		" PC=0000000000000000 X00=0000000000000000 X01=0000000000000000\n",
		"CPU#0\n",
		"CPU#0\nIDT=     fffffe0000000000 00000fff\n",
		"CPU#0\nCR0=80050033 CR2=0 CR3=1 CR4=2\nCPU#1\nIDT=     0 0\n",
		"IDT=\nCR0= CR2= CR3= CR4=\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct error err = ERROR_INIT;

		check_int(registers_parse(texts[i], vcpus, CAPACITY, &err), -EBADMSG);
		check(err.text[0]);
	}
	check_int(registers_parse(long_mode, vcpus, 1, NULL), -E2BIG);
}

/* Every beginning, and every byte changed, is parsed or refused. */
static void test_registers_damaged_text(void)
{
	for (size_t i = 0; i < sizeof(long_mode) - 1; i++) {
		for (int byte = 0; byte < 256; byte += 7) {
			char *copy = strdup(long_mode);
			int count;

			check(copy);
			copy[i] = (char)byte;
			count = registers_parse(copy, vcpus, CAPACITY, NULL);
			free(copy);
			check(count == -EBADMSG || count == 1 || count == 2);
		}
	}
}

TEST_MAIN(TEST(test_registers_of_all_vcpus), TEST(test_registers_in_real_mode),
	  TEST(test_registers_without_heading_and_efer), TEST(test_registers_of_no_x86),
	  TEST(test_registers_damaged_text))
