/* What libxml2 and libxmlsec1 take to parse, validate and verify one document, in one process: anchor and
 * schema are read once. Arguments: document, schema, anchor (PEM), copies. Writes the best time in nanoseconds. */
#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <xmlsec/crypto.h>
#include <xmlsec/xmldsig.h>
#include <xmlsec/xmlsec.h>
#include <xmlsec/xmltree.h>

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static char *read_all(const char *name, int *length) {
    FILE *file = fopen(name, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        return NULL;
    }
    *length = (int)ftell(file);
    rewind(file);
    char *octets = malloc((size_t)*length);
    if (octets == NULL || fread(octets, 1, (size_t)*length, file) != (size_t)*length) {
        return NULL;
    }
    fclose(file);
    return octets;
}

static int accepts(const char *octets, int length, xmlSchemaPtr schema, xmlSecKeysMngrPtr keys) {
    int accepted = 0;
    xmlDocPtr document = xmlReadMemory(octets, length, NULL, NULL, XML_PARSE_NONET | XML_PARSE_HUGE);
    if (document == NULL) {
        return 0;
    }
    xmlSchemaValidCtxtPtr valid = xmlSchemaNewValidCtxt(schema);
    if (valid != NULL && xmlSchemaValidateDoc(valid, document) == 0) {
        xmlNodePtr root = xmlDocGetRootElement(document);
        xmlNodePtr signature = xmlSecFindNode(root, xmlSecNodeSignature, xmlSecDSigNs);
        xmlSecDSigCtxPtr context = xmlSecDSigCtxCreate(keys);
        accepted = signature != NULL && context != NULL && xmlSecDSigCtxVerify(context, signature) == 0 &&
                   context->status == xmlSecDSigStatusSucceeded;
        xmlSecDSigCtxDestroy(context);
    }
    xmlSchemaFreeValidCtxt(valid);
    xmlFreeDoc(document);
    return accepted;
}

int main(int count, char **arguments) {
    int length = 0;
    if (count != 5) {
        return 2;
    }
    xmlInitParser();
    if (xmlSecInit() < 0 || xmlSecCryptoAppInit(NULL) < 0 || xmlSecCryptoInit() < 0) {
        return 2;
    }
    char *octets = read_all(arguments[1], &length);
    xmlSchemaParserCtxtPtr parser = xmlSchemaNewParserCtxt(arguments[2]);
    xmlSchemaPtr schema = xmlSchemaParse(parser);
    xmlSecKeysMngrPtr keys = xmlSecKeysMngrCreate();
    if (octets == NULL || schema == NULL || keys == NULL || xmlSecCryptoAppDefaultKeysMngrInit(keys) < 0 ||
        xmlSecCryptoAppKeysMngrCertLoad(keys, arguments[3], xmlSecKeyDataFormatPem, xmlSecKeyDataTypeTrusted) < 0) {
        return 2;
    }
    uint64_t best = UINT64_MAX;
    for (long round = atol(arguments[4]); round > 0; round--) {
        uint64_t begin = now();
        if (!accepts(octets, length, schema, keys)) {
            return 1;
        }
        uint64_t took = now() - begin;
        best = took < best ? took : best;
    }
    printf("%llu\n", (unsigned long long)best);
    return 0;
}
